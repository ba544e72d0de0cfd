package main

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/godwit-im/godwit/app"
	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/config"
	"github.com/godwit-im/godwit/app/desktop/single"
	"github.com/godwit-im/godwit/app/link"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/ui"
)

// host runs what is behind the window: the account with its local API. It implements ui.Host.
type host struct {
	ctx   context.Context // of the program
	cfg   config.Config
	link  string // with which the program was started
	token string
	parts errgroup.Group

	mu     sync.Mutex
	app    *app.App
	client *api.Client
	desk   *ui.Desk
	await  func() // ends waiting for further starts; nil: they find the account
}

var _ ui.Host = (*host)(nil)

func newHost(ctx context.Context, cfg config.Config, link, token string) *host {
	return &host{ctx: ctx, cfg: cfg, link: link, token: token}
}

// window tells which window is to come to the front when a second start asks for it.
func (h *host) window(d *ui.Desk) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.desk = d
}

// showWindow is called when another start of the program hands over its link.
func (h *host) showWindow(_ context.Context, what link.Link, token string) error {
	h.mu.Lock()
	d := h.desk
	h.mu.Unlock()
	if d != nil {
		d.Raise(what, token)
	}
	return nil
}

// Open implements ui.Host.
func (h *host) Open(ctx context.Context, passphrase string) (api.Backend, error) {
	cfg := h.cfg
	if passphrase != "" {
		cfg.Passphrase = func(context.Context) (string, error) { return passphrase, nil }
	}
	if !h.waits() {
		found, err := single.Find(ctx, cfg, h.link, h.token)
		if found {
			return nil, ui.ErrElsewhere
		}
		if err != nil { // it hangs: this one takes its place
			h.cfg.Logger.Warn("a window does not answer", "err", err)
		}
	}
	b, err := h.enter(ctx, cfg)
	if err != nil && !errors.Is(err, ui.ErrElsewhere) && !h.waits() && h.beginWaiting(ctx) {
		return nil, ui.ErrElsewhere // of two started at one moment, the other one asks
	}
	return b, err
}

// waits says whether further starts find a window that has no account open yet.
func (h *host) waits() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.await != nil
}

// beginWaiting has them find it, unless one began at the same moment and has taken the
// link of this one.
func (h *host) beginWaiting(ctx context.Context) (elsewhere bool) {
	cfg := h.cfg
	cfg.Window = h.showWindow
	await, err := single.Begin(ctx, cfg, h.link, h.token)
	if err != nil {
		h.cfg.Logger.Warn("further starts will not find this window", "err", err)
		return false
	}
	if await == nil {
		return true
	}
	waiting, stop := context.WithCancel(h.ctx)
	h.mu.Lock()
	h.await = stop
	h.mu.Unlock()
	h.part("waiting for further starts", func(context.Context) error { return await(waiting) })
	return false
}

func (h *host) enter(ctx context.Context, cfg config.Config) (api.Backend, error) {
	cfg.Window = h.showWindow
	e, err := single.Enter(ctx, cfg, h.link, h.token)
	if err != nil {
		return nil, err
	}
	if e.App == nil && e.Node == nil {
		return nil, ui.ErrElsewhere
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.await != nil {
		defer h.await() // once the account can be found
	}
	if e.Node != nil {
		h.client = e.Node
		return e.Node, nil
	}
	server, err := api.Listen(cfg.Dirs.Socket, e.App, config.Version)
	if err != nil {
		return nil, errors.Join(err, e.App.Close())
	}
	h.app = e.App
	h.part("the account", e.App.Run)
	h.part("the local API", server.Run)
	return e.App, nil
}

// part runs beside the window until the program ends. How it failed is for the log; the
// window notices by the end of events.
func (h *host) part(name string, run func(context.Context) error) {
	h.parts.Go(func() error {
		if err := run(h.ctx); err != nil && !errors.Is(err, context.Canceled) {
			h.cfg.Logger.Error(name+" stopped", "err", err)
		}
		return nil
	})
}

// Create implements ui.Host.
func (h *host) Create(ctx context.Context, name string) (api.Backend, error) {
	if _, err := app.Create(ctx, h.cfg, api.InitRequest{Name: name}); err != nil && !errors.Is(err, problem.AccountExists) {
		return nil, err
	}
	return h.enter(ctx, h.cfg)
}

// Restore implements ui.Host.
func (h *host) Restore(ctx context.Context, name, words string) (api.Backend, error) {
	if _, err := app.Recover(ctx, h.cfg, api.RecoverRequest{Name: name, Words: words}); err != nil {
		return nil, err
	}
	return h.enter(ctx, h.cfg)
}

// close gives everything back once the program's context has ended.
func (h *host) close() error {
	err := h.parts.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.client != nil {
		h.client.Close()
	}
	if h.app != nil {
		err = errors.Join(err, h.app.Close())
	}
	return err
}
