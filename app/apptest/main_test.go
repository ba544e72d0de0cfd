package apptest_test

import (
	"flag"
	"testing"

	"go.uber.org/goleak"
)

// TestMain runs more tests at once than there are processors, as people mostly
// wait. Nothing that a person or a relay started outlives them.
func TestMain(m *testing.M) {
	flag.Set("test.parallel", "4")
	goleak.VerifyTestMain(m)
}
