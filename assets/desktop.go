package assets

import _ "embed"

// AppIcon is the program's icon as SVG: a godwit at the water's edge. It is our own.
//
//go:embed desktop/im.godwit.desktop.svg
var AppIcon []byte

// AppIconPNG is the same as PNG, 256 by 256, for where SVG is not read.
//
//go:embed desktop/256.png
var AppIconPNG []byte
