// Package widget has the small parts that the screens of Godwit are put together
// from: layouts without seams, text and icons that follow the theme, things to press,
// avatars. It knows nothing of accounts or messages.
//
// Everything that can be pressed is at least theme.Target high and wide, works by
// keyboard (Tab, Space, Enter), shows its focus, and has a name for screen readers.
//
// Fyne forgets the renderer of what was out of sight for a minute, and makes it anew
// without laying it out: each CreateRenderer here does that itself.
package widget
