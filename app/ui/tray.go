package ui

import (
	"context"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
)

// TrayWatch calls back with whether the desktop has a tray, at once and whenever that
// changes, until the context ends; see tray.Watch.
type TrayWatch func(ctx context.Context, changed func(present bool)) error

// watchTray follows whether there is a tray.
func (d *Desk) watchTray() {
	if d.opt.Tray == nil {
		return
	}
	d.work.Go(func(ctx context.Context) {
		_ = d.opt.Tray(ctx, func(present bool) { d.work.Do(func() { d.tray(present) }) }) // it ends with the program
	})
}

// tray takes the news that there is a tray, or none.
func (d *Desk) tray(present bool) {
	gone := d.trayHere && !present
	d.trayHere = present
	d.dressTray()
	if d.hidden && (gone || !d.stays()) {
		d.show() // a window that nothing brings back is lost
	}
	if d.inner != nil {
		d.inner.prefs.Update()
	}
}

// stays says whether a window that is closed stays in the tray.
func (d *Desk) stays() bool { return d.trayHere && d.look.Tray }

// dressTray puts our icon into the tray if it is wanted there. Fyne cannot take it out
// again before the program ends.
func (d *Desk) dressTray() {
	host, ok := d.app.(desktop.App)
	if !ok || d.trayIcon || !d.stays() {
		return
	}
	d.trayIcon = true
	host.SetSystemTrayMenu(fyne.NewMenu("Godwit", fyne.NewMenuItem(d.l.T("Open Godwit"), d.show), fyne.NewMenuItemSeparator(), quitItem(d)))
	if d.opt.Icon != nil {
		host.SetSystemTrayIcon(d.opt.Icon)
	}
}

func quitItem(d *Desk) *fyne.MenuItem {
	quit := fyne.NewMenuItem(d.l.T("Quit"), d.quit)
	quit.IsQuit = true
	return quit
}

// show brings the window to the front.
func (d *Desk) show() {
	d.hidden = false
	d.win.Show()
	d.win.RequestFocus()
}

// Start shows the window. Quiet is how it starts at login: in the tray, if it is to stay
// there and the desktop has one.
func (d *Desk) Start(quiet bool) {
	if quiet && d.look.Tray && d.opt.Tray != nil {
		d.hidden = true // until it is known that there is no tray
		return
	}
	d.win.Show()
}
