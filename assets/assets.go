// Package assets holds the files that are built into the desktop program: fonts,
// icons and translations. It imports nothing of ours. What others made has its
// licence beside it, and is listed in fonts/README.md.
package assets

import "embed"

// Fonts has Inter as fonts/Inter-Regular.otf, Inter-SemiBold.otf and Inter-Italic.otf.
//
//go:embed fonts/*.otf
var Fonts embed.FS

// Icons has icons/NAME.svg: 24 by 24, drawn with strokes of 1.8 in currentColor.
//
//go:embed icons/*.svg
var Icons embed.FS

// Translations has translations/LANGUAGE.json, of which en.json is the source.
//
//go:embed translations/*.json
var Translations embed.FS
