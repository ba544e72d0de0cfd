package main

import (
	"strings"
	"testing"

	"rsc.io/qr"
)

// A QR code on a terminal holds every module, and colours only where they are
// wanted (no-color.org).
func TestDrawQR(t *testing.T) {
	const link = "godwit:i#AQGV14TKe82pmb5DBwsgeahgkHFZhKw991PLKGe6b7W7G8ht4M4M8kYxR"
	code, err := qr.Encode(link, qr.L)
	if err != nil {
		t.Fatal(err)
	}
	var plain, coloured strings.Builder
	if err := drawQR(&plain, link, false); err != nil {
		t.Fatal(err)
	}
	if err := drawQR(&coloured, link, true); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(plain.String(), "\x1b") || !strings.Contains(coloured.String(), "\x1b[97;40m") {
		t.Error("colours where none are wanted, or none where they are")
	}
	rows := strings.Split(strings.TrimSuffix(plain.String(), "\n"), "\n")
	for y := range code.Size {
		for x := range code.Size {
			dark := " ▄"
			if (y+2)%2 == 1 {
				dark = " ▀"
			}
			r := []rune(rows[(y+2)/2])[x+2]
			if strings.ContainsRune(dark, r) != code.Black(x, y) {
				t.Fatalf("the module %d, %d is drawn as %q", x, y, r)
			}
		}
	}
}
