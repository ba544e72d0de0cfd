// Package app is what a person can do with Godwit: it builds, starts and stops
// the parts of an account in order, and offers them as api.Backend, one method
// for each command. Every face (command line, local API, desktop) works on an
// App or on api.Client, which is the same from another process.
package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/chat"
	"github.com/godwit-im/godwit/app/config"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity"
	"github.com/godwit-im/godwit/identity/vault"
	"github.com/godwit-im/godwit/p2p/dht"
	"github.com/godwit-im/godwit/p2p/node"
)

// DatabaseName is the database's file in a profile's data directory.
const DatabaseName = "godwit.db"

// App is the account of one profile. Open makes it, Run works; its other methods
// may be called from any goroutine and wait until Run does.
type App struct {
	cfg     config.Config
	lock    *config.Lock
	store   *store.Store
	node    *node.Node
	dht     *dht.DHT
	pool    *node.Pool
	boxes   *node.Pool
	chat    *chat.Chat
	account store.Account
	started time.Time
	friends friendsRelay

	mu       sync.Mutex // of what follows
	vault    *vault.Vault
	settings api.Settings
}

var _ api.Backend = (*App)(nil)

// Create makes an account on this device.
// Errors: problem.AccountExists, BadName, ProfileInUse, CannotMakeDir.
func Create(ctx context.Context, cfg config.Config, r api.InitRequest) (api.Account, error) {
	return create(ctx, cfg, r.Name, identity.NewEntropy(), identity.NewChain)
}

// Recover makes an account on this device from its recovery words. Its manifest
// revokes all other devices. Errors: those of Create, and problem.WrongWords.
func Recover(ctx context.Context, cfg config.Config, r api.RecoverRequest) (api.Account, error) {
	entropy, err := identity.ParsePhrase(r.Words)
	if err != nil {
		return api.Account{}, problem.New(problem.WrongWords, err)
	}
	restart := func(root identity.RootPrivate, device identity.DevicePrivate, agreement identity.AgreementPublic, now time.Time) identity.Chain {
		return identity.RestartChain(root, device, agreement, now, 0)
	}
	return create(ctx, cfg, r.Name, entropy, restart)
}

// Vacant says whether an account could be made in a profile, and changes nothing.
// Errors: problem.AccountExists, ProfileInUse.
func Vacant(cfg config.Config) error {
	if _, _, err := vault.Inspect(cfg.Dirs.Data); !errors.Is(err, vault.ErrNoVault) {
		return problem.New(problem.AccountExists, nil)
	}
	if _, err := os.Stat(cfg.Dirs.State); errors.Is(err, fs.ErrNotExist) {
		return nil // and so nobody uses it
	}
	lock, err := config.Acquire(cfg.Dirs)
	if err != nil {
		return err
	}
	return lock.Release()
}

type chainMaker func(identity.RootPrivate, identity.DevicePrivate, identity.AgreementPublic, time.Time) identity.Chain

func create(ctx context.Context, cfg config.Config, name string, entropy [32]byte, chain chainMaker) (api.Account, error) {
	if err := cfg.Dirs.Make(); err != nil {
		return api.Account{}, err
	}
	lock, err := config.Acquire(cfg.Dirs)
	if err != nil {
		return api.Account{}, err
	}
	account, err := createLocked(ctx, cfg, name, entropy, chain)
	return accountView(account), errors.Join(err, lock.Release())
}

// createLocked makes the vault last: with it the account exists. What an earlier
// try left without one is of no account and makes room.
func createLocked(ctx context.Context, cfg config.Config, name string, entropy [32]byte, chain chainMaker) (account store.Account, err error) {
	if name != "" {
		if err := chat.CheckName(name); err != nil {
			return account, problem.New(problem.BadName, err)
		}
	}
	if _, _, err := vault.Inspect(cfg.Dirs.Data); !errors.Is(err, vault.ErrNoVault) {
		return account, problem.New(problem.AccountExists, nil)
	}
	path := filepath.Join(cfg.Dirs.Data, DatabaseName)
	for _, leftover := range []string{path, path + "-wal", path + "-shm"} {
		if err := os.Remove(leftover); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return account, problem.New(problem.CannotMakeDir, err)
		}
	}
	secrets := vault.NewSecrets(entropy)
	device, agreement := identity.NewDevicePrivate(secrets.Device), identity.NewAgreementPrivate(secrets.Agreement)
	now := time.Now()
	c := chain(identity.RootFromEntropy(entropy), device, agreement.Public(), now)
	account = store.Account{ID: c.Account(), Root: c.Root(), Chain: c.Marshal(), Device: device.Public(), Name: name, Created: now}

	s, err := store.Open(ctx, path, secrets.Database, store.Options{Create: true})
	if err != nil {
		return account, storeProblem(err)
	}
	err = s.Update(ctx, func(tx *store.Tx) error { return tx.PutAccount(account) })
	if err = errors.Join(err, s.Close()); err != nil {
		return account, storeProblem(err)
	}
	how := vault.ByKeyring
	if cfg.Dirs.Profile != "" {
		how = vault.ByKeyFile
	}
	_, err = vault.Create(cfg.Dirs.Data, account.ID, how, secrets, vault.Options{})
	if errors.Is(err, vault.ErrNoKeyring) {
		_, err = vault.Create(cfg.Dirs.Data, account.ID, vault.ByKeyFile, secrets, vault.Options{})
	}
	return account, vaultProblem(err)
}

func accountView(a store.Account) api.Account {
	return api.Account{Account: a.ID.String(), Device: identity.AccountID(a.Device).String(), Name: a.Name}
}

// Open opens the account of a profile, holds its lock, and starts listening.
// Errors: problem.NoAccount (without cfg.Create), ProfileInUse, ProfileNewer,
// Locked, WrongPassphrase, KeyMissing, VaultDamaged, KeyringSilent, StoreDamaged,
// CannotListen, BadAddress, AddressNotInNet.
func Open(ctx context.Context, cfg config.Config) (_ *App, err error) {
	if err := cfg.Dirs.Make(); err != nil {
		return nil, err
	}
	a := &App{cfg: cfg, started: time.Now(), settings: api.Settings{ReadReceipts: cfg.ReadReceipts, Typing: cfg.Typing}}
	a.friends.a, a.friends.poke = a, make(chan struct{}, 1)
	if a.lock, err = config.Acquire(cfg.Dirs); err != nil {
		return nil, err
	}
	if err := a.open(ctx); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

func (a *App) open(ctx context.Context) error {
	relays, err := parsePeers(a.cfg.Relays, node.Mode(a.cfg.Network))
	if err != nil {
		return err
	}
	if err := a.openKeys(ctx); err != nil {
		return err
	}
	secrets := a.vault.Secrets()
	a.store, err = store.Open(ctx, filepath.Join(a.cfg.Dirs.Data, DatabaseName), secrets.Database, store.Options{CacheKiB: a.cfg.CacheKiB})
	if err != nil {
		return storeProblem(err)
	}
	err = a.store.View(ctx, func(tx *store.Tx) (err error) {
		a.account, err = tx.Account()
		return err
	})
	if err != nil {
		return storeProblem(err)
	}
	chain, err := identity.ParseChain(a.account.Chain)
	if err == nil {
		err = chain.Verify()
	}
	if err != nil {
		return problem.New(problem.StoreDamaged, err)
	}
	nodeConfig := node.Config{Mode: node.Mode(a.cfg.Network), Listen: a.cfg.Listen}
	if a.node, err = node.New(nodeConfig); errors.Is(err, node.ErrOutside) {
		return problem.New(problem.AddressNotInNet, err)
	} else if err != nil {
		return problem.New(problem.CannotListen, err)
	}
	if err := a.joinDHT(ctx); err != nil {
		return err
	}
	a.boxes = node.NewPool(nodeConfig)
	nodeConfig.Circuits = a.routing() != chat.Straight
	a.pool = node.NewPool(nodeConfig)
	a.chat, err = chat.New(ctx, chat.Config{
		Store: a.store, Chain: chain, Device: identity.NewDevicePrivate(secrets.Device), Agreement: identity.NewAgreementPrivate(secrets.Agreement),
		Node: a.node, Pool: a.pool, Boxes: a.boxes, Log: a.cfg.Logger, Relays: relays, Routing: a.routing(), Brief: a.cfg.Brief, Shared: chat.Shared(a.settings), Finder: a.dht,
		Choice: chat.Choice{On: a.cfg.Chooses(), From: a.dht, Pace: chat.Pace(a.cfg.Pace)},
	})
	if err != nil {
		return storeProblem(err)
	}
	return nil
}

// joinDHT prepares the DHT: its ways in are the peers given by hand, those listed, and those of the
// last run, to which the chat adds the account's relays.
func (a *App) joinDHT(ctx context.Context) error {
	cfg := dht.Config{Mode: node.Mode(a.cfg.Network), Save: a.saveDHT, Alarmed: a.alarmed}
	var err error
	if cfg.Bootstrap, err = parsePeers(a.cfg.Peers, cfg.Mode); err != nil {
		return err
	}
	for _, text := range a.cfg.Listed {
		one, err := parsePeer(text, cfg.Mode)
		if errors.Is(err, problem.AddressNotInNet) {
			continue // a list is for everybody
		}
		if err != nil {
			return err
		}
		cfg.Listed = append(cfg.Listed, one)
	}
	err = a.store.View(ctx, func(tx *store.Tx) (err error) {
		cfg.Last, err = lastDHT(tx)
		return err
	})
	if err != nil {
		return storeProblem(err)
	}
	a.dht, err = dht.New(a.node.Host(), cfg)
	return err
}

// dhtSetting is where the DHT's memory is kept between runs, as JSON.
const dhtSetting = "dht/last"

func lastDHT(tx *store.Tx) (m dht.Memory, err error) {
	raw, err := tx.Setting(dhtSetting)
	if errors.Is(err, store.ErrNotFound) {
		return m, nil
	}
	if err == nil && json.Unmarshal(raw, &m) != nil {
		m = dht.Memory{} // its peers are found again
	}
	return m, err
}

// saveDHT keeps the DHT's memory for the next run.
func (a *App) saveDHT(m dht.Memory) {
	raw, err := json.Marshal(m)
	if err == nil {
		err = a.store.Update(context.Background(), func(tx *store.Tx) error { return tx.PutSetting(dhtSetting, raw) })
	}
	if err != nil {
		a.log().Warn("the peers of the DHT could not be kept", "err", err)
	}
}

// alarmed says that somebody may be deciding what the DHT finds.
func (a *App) alarmed(x dht.Alarm) {
	v := dhtAlarm(x)
	a.log().Warn(v.Reason, "code", v.Code, "since", x.Since)
}

// routing is how what is for others goes to their relays.
func (a *App) routing() chat.Routing {
	switch a.cfg.Private.In(a.cfg.Network) {
	case config.PrivateOnly:
		return chat.OnlyPrivate
	case config.PrivateOn:
		return chat.Private
	}
	return chat.Straight
}

func (a *App) log() *slog.Logger {
	if a.cfg.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return a.cfg.Logger
}

// openKeys opens the vault, and makes an account where there is none if the
// configuration says so.
func (a *App) openKeys(ctx context.Context) error {
	dir := a.cfg.Dirs.Data
	how, _, err := vault.Inspect(dir)
	if errors.Is(err, vault.ErrNoVault) {
		if !a.cfg.Create {
			return problem.New(problem.NoAccount, nil)
		}
		if _, err := createLocked(ctx, a.cfg, "", identity.NewEntropy(), identity.NewChain); err != nil {
			return err
		}
		how, _, err = vault.Inspect(dir)
	}
	if err != nil {
		return vaultProblem(err)
	}
	var o vault.Options
	if how == vault.ByPassphrase {
		if a.cfg.Passphrase == nil {
			return problem.New(problem.Locked, nil)
		}
		passphrase, err := a.cfg.Passphrase(ctx)
		if ctx.Err() != nil {
			return ctx.Err() // it was not refused: the question was given up
		}
		if err != nil {
			return problem.New(problem.Locked, err)
		}
		o.Passphrase = []byte(passphrase)
	}
	a.vault, err = vault.Open(dir, o)
	return vaultProblem(err)
}

// Run works until the context ends, and returns when everything that it started
// has ended.
func (a *App) Run(ctx context.Context) error {
	if a.cfg.Brief {
		return storeProblem(a.chat.Run(ctx)) // the DHT is joined if somebody has to be found
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var joined sync.WaitGroup
	defer joined.Wait()
	joined.Go(func() {
		if err := a.dht.Run(ctx); err != nil && ctx.Err() == nil {
			a.log().Error("the DHT stopped", "err", err)
		}
	})
	joined.Go(func() { a.friends.run(ctx) })
	err := storeProblem(a.chat.Run(ctx))
	stop()
	return err
}

// Close gives everything back. Run must have returned, or never been called.
func (a *App) Close() error {
	var errs []error
	if a.pool != nil {
		a.pool.Close()
		a.boxes.Close()
	}
	if a.dht != nil {
		errs = append(errs, a.dht.Close())
	}
	if a.node != nil {
		errs = append(errs, a.node.Close())
	}
	if a.store != nil {
		errs = append(errs, a.store.Close())
	}
	if a.lock != nil {
		errs = append(errs, a.lock.Release())
	}
	return errors.Join(errs...)
}

// parsePeers reads multiaddrs that end with a PeerID, and joins those of one peer.
// Errors: problem.BadAddress, AddressNotInNet.
func parsePeers(addrs []string, mode node.Mode) ([]peer.AddrInfo, error) {
	var list []peer.AddrInfo
	for _, text := range addrs {
		one, err := parsePeer(text, mode)
		if err != nil {
			return nil, err
		}
		joined := false
		for i := range list {
			if list[i].ID == one.ID {
				list[i].Addrs, joined = append(list[i].Addrs, one.Addrs...), true
			}
		}
		if !joined {
			list = append(list, one)
		}
	}
	return list, nil
}

func parsePeer(text string, mode node.Mode) (peer.AddrInfo, error) {
	whole, err := ma.NewMultiaddr(text)
	if err != nil {
		return peer.AddrInfo{}, problem.Newf(problem.BadAddress, "%q: %w", text, err)
	}
	info, err := peer.AddrInfoFromP2pAddr(whole)
	if err != nil {
		return peer.AddrInfo{}, problem.Newf(problem.BadAddress, "%q lacks the peer's id, /p2p/12D3Koo", text)
	}
	if len(info.Addrs) == 0 {
		return peer.AddrInfo{}, problem.Newf(problem.BadAddress, "%q names a peer but no address", text)
	}
	for _, a := range info.Addrs {
		if node.Named(a) {
			return peer.AddrInfo{}, problem.Newf(problem.BadAddress, "%s: a host name is not looked up, as that would tell strangers; give /ip4/... or /ip6/...", a)
		}
		if !node.AllowedAddr(mode, a) {
			return peer.AddrInfo{}, problem.Newf(problem.AddressNotInNet, "%s with --network %s", a, mode)
		}
	}
	return *info, nil
}

// storeProblem is what an error of the store means to a person.
func storeProblem(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrNewer):
		return problem.New(problem.ProfileNewer, err)
	case errors.Is(err, store.ErrFull):
		return problem.New(problem.DiskFull, err)
	case errors.Is(err, store.ErrReadOnly):
		return problem.New(problem.NotPermitted, err)
	case errors.Is(err, store.ErrBusy):
		return problem.New(problem.ProfileInUse, err)
	case errors.Is(err, store.ErrMissing), errors.Is(err, store.ErrKey), errors.Is(err, store.ErrDamaged):
		return problem.New(problem.StoreDamaged, err)
	}
	return err
}

// vaultProblem is what an error of the vault means to a person.
func vaultProblem(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, vault.ErrLocked):
		return problem.New(problem.Locked, nil)
	case errors.Is(err, vault.ErrWrongPassphrase):
		return problem.New(problem.WrongPassphrase, nil)
	case errors.Is(err, vault.ErrNoKey):
		return problem.New(problem.KeyMissing, err)
	case errors.Is(err, vault.ErrNoKeyring):
		return problem.New(problem.KeyringSilent, err)
	case errors.Is(err, vault.ErrDamaged):
		return problem.New(problem.VaultDamaged, err)
	case errors.Is(err, vault.ErrNewer):
		return problem.New(problem.ProfileNewer, err)
	case errors.Is(err, vault.ErrEmptyPassphrase):
		return problem.New(problem.BadPassphrase, nil)
	case errors.Is(err, vault.ErrExists):
		return problem.New(problem.AccountExists, nil)
	}
	return fmt.Errorf("keys: %w", err)
}
