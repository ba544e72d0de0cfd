package apptest_test

import (
	"testing"

	"go.uber.org/goleak"
)

// Nothing that a person or a relay started outlives them.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
