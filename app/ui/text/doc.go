// Package text shows what people wrote, who may be anybody: it lays text out by
// itself, because Fyne's texts cannot be selected in part, know no right-to-left
// paragraphs, cut the descenders of scripts that the theme's font lacks, and show no
// emoji. Parse makes a Doc of a message (inline marks, links, emoji; nothing in it
// can start a request or change how others are read), Fonts.Layout breaks it into
// lines, and MessageText shows them.
//
// Inline marks are those people type anyway: *bold*, _italic_, `code`, and > at the
// start of a line. Images, HTML and link titles do not exist. Links are
// made of http, https, mailto and godwit addresses only, show the host they really go
// to, and are opened by whoever uses this package, never here.
//
// All of it belongs to the goroutine of the user interface.
package text
