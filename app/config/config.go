// Package config says how Godwit is set up: the directories of each system, the
// file config.toml, the environment and the flags, in that order of strength,
// and where each value came from. It also holds what belongs to a profile as a
// whole: the lock that keeps a second process out, and the log file.
package config

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/godwit-im/godwit/app/link"
)

// Network is how far the node reaches.
type Network string

// The networks of --network.
const (
	Public   Network = "public"   // the Internet
	LAN      Network = "lan"      // the local network, and not one packet further
	Loopback Network = "loopback" // this computer: tests and demos
)

// Private says whether messages are left at relays by way of other relays, so that
// those where they lie do not see where they come from.
type Private string

// The values of --private-routing.
const (
	PrivateOn   Private = "on"   // straight only where for a while no other relay leads there
	PrivateOnly Private = "only" // never straight
	PrivateOff  Private = "off"
	byNetwork   Private = "" // on in public, off elsewhere
)

// In says what holds with a network.
func (p Private) In(n Network) Private {
	switch {
	case p != byNetwork:
		return p
	case n == Public:
		return PrivateOn
	}
	return PrivateOff
}

// Config is everything that a node or relay is told from outside. Load fills
// it; the zero value is not usable.
type Config struct {
	Dirs    Dirs
	Network Network
	Listen  []string // multiaddrs; empty: the network's own choice
	// Announce are multiaddrs under which others reach a relay besides those that it finds out by
	// itself: those of a router that leads to it.
	Announce []string
	Peers    []string // multiaddrs with PeerID to start from
	// Bootstrap is a file that lists more of them, and Listed is what it lists.
	Bootstrap string
	Listed    []string
	Relays    []string   // multiaddrs with PeerID: the account keeps its box there too
	Choose    Choose     // whether other relays are found and judged by the node itself
	MaxDisk   int64      // bytes that a relay may fill
	Limits    Limits     // what else a relay gives to others
	HTTP      string     // host:port of a relay's status page and metrics, on this computer; empty: none
	Store     string     // URL of the servers that keep a relay's mail, with a password perhaps; empty: its directory does
	Private   Private    // whether messages are left at relays by way of others
	LogLevel  slog.Level // of the log file and of standard error
	// ReadReceipts and Typing are what contacts learn: that their messages were read, and
	// that somebody is writing to them.
	ReadReceipts, Typing bool

	// Pace is how fast relays are judged, for tests that cannot wait; its zero value
	// is the usual one. It is no setting.
	Pace Pace
	// Create makes the account silently where there is none; otherwise opening
	// such a profile ends with problem.NoAccount.
	Create bool
	// CacheKiB is how much of the database is kept in memory; 0: 16 MiB. It is no setting: a
	// window has 64 MiB.
	CacheKiB int
	// Brief says that the account runs for the length of one command.
	Brief bool
	// Window brings the window to the front and shows what a link names. Nil: there is
	// none. token is the desktop's leave to do so, or empty.
	Window func(ctx context.Context, l link.Link, token string) error
	// Passphrase is asked only if the keys need it. It is never written down.
	// Nil, or an error of it, ends with problem.Locked.
	Passphrase func(context.Context) (string, error)
	// Logger takes what the account's parts have to say. Nil: nothing is said.
	Logger *slog.Logger
}

// Limits are what a relay gives to others, beside MaxDisk.
type Limits struct {
	QueueCells int      // cells in one queue: what one contact leaves in a day
	QueueSize  int64    // the same in bytes
	BoxQueues  int      // queues open in one box: one for each contact and day ahead
	BoxSize    int64    // bytes in one box: what one device has waiting
	LeaseDays  int      // that a lease lasts
	Lease      Lease    // what pays for a box
	LeaseWork  int      // bits, for LeaseWork
	Tokens     [][]byte // for LeaseToken
	// For a box that a token pays for; 0: as for the others.
	TokenQueueCells int
	TokenQueueSize  int64
	TokenBoxQueues  int
	TokenBoxSize    int64
	TokenLeaseDays  int
	// Of connections that others open to a relay; 0: what is usual in the network.
	Connections      int   // at once
	GroupConnections int   // of these, from one group of addresses
	GroupRate        int   // that one group may begin a second
	GroupBoxes       int   // that one group may open in a day without a token
	GroupSize        int64 // bytes that one group may leave in a day while room is scarce
}

// Lease says what pays for a box at a relay.
type Lease string

// The values of lease.
const (
	LeaseAuto  Lease = "auto"  // nothing in loopback, else work; and a token if there are any
	LeaseOpen  Lease = "open"  // nothing
	LeaseWork  Lease = "work"  // proof of work, or a token if there are any
	LeaseToken Lease = "token" // a token, and nothing else
)

// Bounds of the limits.
const (
	minLeaseWork, maxLeaseWork = 1, 32  // bits; a client does no more
	minToken, maxToken         = 16, 64 // bytes
	minRoom                    = 64 << 10
)

// ParseToken reads a token as `godwit relay token` prints it.
func ParseToken(s string) ([]byte, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) < minToken || len(b) > maxToken {
		return nil, errors.New("not a token such as `godwit relay token` makes")
	}
	return b, nil
}

// NewToken makes a token, as text.
func NewToken() string {
	b := make([]byte, 24)
	rand.Read(b) // never fails, see crypto/rand
	return base64.RawURLEncoding.EncodeToString(b)
}

// Choose says whether the node finds and judges relays itself.
type Choose string

// The values of choose_relays.
const (
	ChooseAuto Choose = "auto" // as the network: on in public
	ChooseOn   Choose = "on"
	ChooseOff  Choose = "off"
)

// Chooses says whether relays are chosen.
func (c Config) Chooses() bool {
	return c.Choose == ChooseOn || c.Choose == ChooseAuto && c.Network == Public
}

// Pace is how fast relays are judged; see chat.Pace.
type Pace struct{ Look, List, Lie, Down, Change time.Duration }

// How much a relay may fill, in bytes: unless told otherwise, and the least that
// its store works with (p2p/mailbox/disk).
const (
	DefaultMaxDisk = 10 << 30
	MinDisk        = 8 << 20
)

// key is one setting: its name in the file, in the environment (GODWIT_ and the
// name in capitals) and on the command line (with dashes).
type key struct {
	name  string
	means string
	list  bool
	set   func(*Config, []string) error
	show  func(*Config) []string
}

// keys are all settings, in the order in which they are shown.
func keys() []key {
	return []key{
		{name: "network", means: "public, lan or loopback",
			set:  one(func(c *Config, v string) (err error) { c.Network, err = ParseNetwork(v); return err }),
			show: func(c *Config) []string { return []string{string(c.Network)} }},
		{name: "listen", list: true, means: "addresses to listen on; empty: chosen by the network",
			set:  func(c *Config, v []string) error { c.Listen = v; return multiaddrs(v, false) },
			show: func(c *Config) []string { return c.Listen }},
		{name: "announce", list: true, means: "addresses under which others reach a relay, besides those that it finds out: where a router or balancer leads to it",
			set:  func(c *Config, v []string) error { c.Announce = v; return multiaddrs(v, false) },
			show: func(c *Config) []string { return c.Announce }},
		{name: "peer", list: true, means: "addresses of peers to start from",
			set:  func(c *Config, v []string) error { c.Peers = v; return multiaddrs(v, true) },
			show: func(c *Config) []string { return c.Peers }},
		{name: "bootstrap", means: "file that lists addresses of more peers to start from, one a line",
			set: one(func(c *Config, v string) error { c.Bootstrap = v; return nil }),
			show: func(c *Config) []string {
				if c.Bootstrap == "" {
					return nil
				}
				return []string{c.Bootstrap}
			}},
		{name: "relay", list: true, means: "addresses of relays that keep this account's mail",
			set:  func(c *Config, v []string) error { c.Relays = v; return multiaddrs(v, true) },
			show: func(c *Config) []string { return c.Relays }},
		{name: "private_routing", means: "leave messages at relays by way of other relays: on (straight where for a while none leads there), only (never straight) or off; on by itself if the network is public",
			set:  one(func(c *Config, v string) (err error) { c.Private, err = parsePrivate(v); return err }),
			show: func(c *Config) []string { return []string{string(c.Private.In(c.Network))} }},
		{name: "choose_relays", means: "find relays, test them and replace those that fail: on, off, or auto, which is on in public",
			set: one(func(c *Config, v string) error {
				switch c.Choose = Choose(v); c.Choose {
				case ChooseAuto, ChooseOn, ChooseOff:
					return nil
				}
				return fmt.Errorf("%q is not auto, on or off", v)
			}),
			show: func(c *Config) []string { return []string{string(c.Choose)} }},
		{name: "max_disk", means: "what a relay may fill, such as 10GiB",
			set:  one(func(c *Config, v string) (err error) { c.MaxDisk, err = parseDisk(v); return err }),
			show: func(c *Config) []string { return []string{humanize.IBytes(uint64(c.MaxDisk))} }},
		{name: "queue_cells", means: "cells that a relay keeps in one queue: what one contact leaves in a day",
			set: one(func(c *Config, v string) (err error) {
				c.Limits.QueueCells, err = parseCount(v, 1, math.MaxUint16)
				return err
			}),
			show: func(c *Config) []string { return []string{strconv.Itoa(c.Limits.QueueCells)} }},
		{name: "queue_size", means: "the same as a size, such as 8MiB",
			set: one(func(c *Config, v string) (err error) {
				c.Limits.QueueSize, err = parseRoom(v, math.MaxUint32)
				return err
			}),
			show: func(c *Config) []string { return []string{humanize.IBytes(uint64(c.Limits.QueueSize))} }},
		{name: "box_queues", means: "queues open in one box at a relay: one for each contact and day ahead",
			set:  one(func(c *Config, v string) (err error) { c.Limits.BoxQueues, err = parseCount(v, 1, 1<<20); return err }),
			show: func(c *Config) []string { return []string{strconv.Itoa(c.Limits.BoxQueues)} }},
		{name: "box_size", means: "what a relay keeps for one device, such as 256MiB",
			set:  one(func(c *Config, v string) (err error) { c.Limits.BoxSize, err = parseRoom(v, 1<<40); return err }),
			show: func(c *Config) []string { return []string{humanize.IBytes(uint64(c.Limits.BoxSize))} }},
		{name: "lease_days", means: "how many days a box at a relay lasts unless it is renewed, 7 to 365; what was given stays",
			set:  one(func(c *Config, v string) (err error) { c.Limits.LeaseDays, err = parseCount(v, 7, 365); return err }),
			show: func(c *Config) []string { return []string{strconv.Itoa(c.Limits.LeaseDays)} }},
		{name: "token_queue_cells", means: "queue_cells for a box that a token pays for; auto: the same, as of the next four",
			set: one(func(c *Config, v string) (err error) {
				c.Limits.TokenQueueCells, err = parseAuto(v, 1, math.MaxUint16)
				return err
			}),
			show: func(c *Config) []string { return []string{showAuto(c.Limits.TokenQueueCells)} }},
		{name: "token_queue_size", means: "queue_size for a box that a token pays for",
			set: one(func(c *Config, v string) (err error) {
				c.Limits.TokenQueueSize, err = parseAutoRoom(v, math.MaxUint32)
				return err
			}),
			show: func(c *Config) []string { return []string{showAutoRoom(c.Limits.TokenQueueSize)} }},
		{name: "token_box_queues", means: "box_queues for a box that a token pays for",
			set: one(func(c *Config, v string) (err error) {
				c.Limits.TokenBoxQueues, err = parseAuto(v, 1, 1<<20)
				return err
			}),
			show: func(c *Config) []string { return []string{showAuto(c.Limits.TokenBoxQueues)} }},
		{name: "token_box_size", means: "box_size for a box that a token pays for, such as 1GiB",
			set: one(func(c *Config, v string) (err error) {
				c.Limits.TokenBoxSize, err = parseAutoRoom(v, 1<<40)
				return err
			}),
			show: func(c *Config) []string { return []string{showAutoRoom(c.Limits.TokenBoxSize)} }},
		{name: "token_lease_days", means: "lease_days for a box that a token pays for",
			set:  one(func(c *Config, v string) (err error) { c.Limits.TokenLeaseDays, err = parseAuto(v, 7, 365); return err }),
			show: func(c *Config) []string { return []string{showAuto(c.Limits.TokenLeaseDays)} }},
		{name: "lease", means: "what pays for a box at a relay: open (nothing), work, token (nothing else), or auto: work, on loopback nothing. Tokens pay wherever there are any, but for open",
			set: one(func(c *Config, v string) error {
				switch c.Limits.Lease = Lease(v); c.Limits.Lease {
				case LeaseAuto, LeaseOpen, LeaseWork, LeaseToken:
					return nil
				}
				return fmt.Errorf("%q is not auto, open, work or token", v)
			}),
			show: func(c *Config) []string { return []string{string(c.Limits.Lease)} }},
		{name: "lease_work", means: "how much work pays for a box, in bits: each more doubles it, 22 are about a second",
			set: one(func(c *Config, v string) (err error) {
				c.Limits.LeaseWork, err = parseCount(v, minLeaseWork, maxLeaseWork)
				return err
			}),
			show: func(c *Config) []string { return []string{strconv.Itoa(c.Limits.LeaseWork)} }},
		{name: "lease_token", list: true, means: "tokens that pay for a box; `godwit relay token` makes one",
			set: func(c *Config, v []string) error {
				c.Limits.Tokens = nil
				for _, text := range v {
					token, err := ParseToken(text)
					if err != nil {
						return err
					}
					c.Limits.Tokens = append(c.Limits.Tokens, token)
				}
				return nil
			},
			show: func(c *Config) (hidden []string) { // who sees them could use them
				for range c.Limits.Tokens {
					hidden = append(hidden, "(secret)")
				}
				return hidden
			}},
		{name: "connections", means: "how many connections others may have with a relay, or auto: 4096, on loopback any number. More than it was started with takes a restart",
			set: one(func(c *Config, v string) (err error) {
				c.Limits.Connections, err = parseAuto(v, 64, 1<<17)
				return err
			}),
			show: func(c *Config) []string { return []string{showAuto(c.Limits.Connections)} }},
		{name: "group_connections", means: "how many of these one group of addresses (IPv4 /24, IPv6 /48) may have, a quarter of them before it proved anything; auto: 512",
			set: one(func(c *Config, v string) (err error) {
				c.Limits.GroupConnections, err = parseAuto(v, 8, 1<<17)
				return err
			}),
			show: func(c *Config) []string { return []string{showAuto(c.Limits.GroupConnections)} }},
		{name: "group_rate", means: "how many connections a second one group of addresses may begin, with what belongs to each; auto: 8",
			set: one(func(c *Config, v string) (err error) {
				c.Limits.GroupRate, err = parseAuto(v, 1, 1<<17)
				return err
			}),
			show: func(c *Config) []string { return []string{showAuto(c.Limits.GroupRate)} }},
		{name: "group_boxes", means: "how many boxes a day one group of addresses may open that no token paid for; auto: 256, on loopback any number",
			set: one(func(c *Config, v string) (err error) {
				c.Limits.GroupBoxes, err = parseAuto(v, 1, 1<<20)
				return err
			}),
			show: func(c *Config) []string { return []string{showAuto(c.Limits.GroupBoxes)} }},
		{name: "group_size", means: "how much mail one group of addresses may leave in a day while more than half of max_disk is taken, such as 1GiB; auto: an eighth of max_disk",
			set:  one(func(c *Config, v string) (err error) { c.Limits.GroupSize, err = parseAutoRoom(v, 1<<50); return err }),
			show: func(c *Config) []string { return []string{showAutoRoom(c.Limits.GroupSize)} }},
		{name: "http", means: "host:port of a relay's status page and metrics, on this computer; empty: none",
			set: one(func(c *Config, v string) error { c.HTTP = v; return hostPort(v) }),
			show: func(c *Config) []string {
				if c.HTTP == "" {
					return nil
				}
				return []string{c.HTTP}
			}},
		{name: "store", means: "URL of the NATS servers that keep a relay's mail, which several relays can share; empty: it lies in the relay's directory",
			set: one(func(c *Config, v string) error { c.Store = v; return nil }),
			show: func(c *Config) []string {
				if c.Store == "" {
					return nil
				}
				return []string{regexp.MustCompile(`[^/,@]*@`).ReplaceAllString(c.Store, "")} // names and passwords
			}},
		{name: "read_receipts", means: "on or off: contacts learn that you read their messages, and you that they read yours",
			set:  one(func(c *Config, v string) (err error) { c.ReadReceipts, err = parseSwitch(v); return err }),
			show: func(c *Config) []string { return []string{switchText(c.ReadReceipts)} }},
		{name: "typing", means: "on or off: contacts who are connected directly learn that you are writing to them, and you that they are",
			set:  one(func(c *Config, v string) (err error) { c.Typing, err = parseSwitch(v); return err }),
			show: func(c *Config) []string { return []string{switchText(c.Typing)} }},
		{name: "log_level", means: "debug, info, warn or error",
			set:  one(func(c *Config, v string) error { return c.LogLevel.UnmarshalText([]byte(v)) }),
			show: func(c *Config) []string { return []string{strings.ToLower(c.LogLevel.String())} }},
	}
}

func one(set func(*Config, string) error) func(*Config, []string) error {
	return func(c *Config, v []string) error {
		if len(v) != 1 {
			return fmt.Errorf("takes one value, not %d", len(v))
		}
		return set(c, v[0])
	}
}

// defaults are the values that nothing was said about.
func defaults() Config {
	limits := Limits{QueueCells: 512, QueueSize: 8 << 20, BoxQueues: 16 << 10, BoxSize: 256 << 20, LeaseDays: 30, Lease: LeaseAuto, LeaseWork: 22}
	return Config{Limits: limits, Network: Public, Choose: ChooseAuto, MaxDisk: DefaultMaxDisk, LogLevel: slog.LevelInfo, ReadReceipts: true}
}

// ParseNetwork reads the name of a network.
func ParseNetwork(s string) (Network, error) {
	switch n := Network(s); n {
	case Public, LAN, Loopback:
		return n, nil
	}
	return "", fmt.Errorf("%q is not public, lan or loopback", s)
}

func parseSwitch(s string) (bool, error) {
	switch s {
	case "on", "off":
		return s == "on", nil
	}
	return false, fmt.Errorf("%q is not on or off", s)
}

func switchText(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

func parsePrivate(s string) (Private, error) {
	switch p := Private(s); p {
	case PrivateOn, PrivateOnly, PrivateOff:
		return p, nil
	}
	return "", fmt.Errorf("%q is not on, only or off", s)
}

// ParseSize reads a number of bytes such as 10GiB, 500MB or 1048576.
func ParseSize(s string) (int64, error) {
	n, err := humanize.ParseBytes(s)
	if err != nil || n > 1<<62 {
		return 0, fmt.Errorf("%q is not a size such as 10GiB", s)
	}
	return int64(n), nil
}

// parseCount reads a whole number within bounds.
func parseCount(s string, least, most int) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("%q is not a number from %d to %d", s, least, most)
	}
	return n, nil
}

// parseAuto reads a number, or auto, which is 0.
func parseAuto(s string, least, most int) (int, error) {
	if s == "auto" {
		return 0, nil
	}
	n, err := parseCount(s, least, most)
	if err != nil {
		err = fmt.Errorf("%w, nor auto", err)
	}
	return n, err
}

func showAuto(n int) string {
	if n == 0 {
		return "auto"
	}
	return strconv.Itoa(n)
}

// parseRoom reads a size that has room for a cell of the largest kind.
func parseRoom(s string, most int64) (int64, error) {
	n, err := ParseSize(s)
	if err == nil && (n < minRoom || n > most) {
		err = fmt.Errorf("%s is not a size from %s to %s", s, humanize.IBytes(minRoom), humanize.IBytes(uint64(most)))
	}
	return n, err
}

// parseAutoRoom is parseRoom, 0 for auto.
func parseAutoRoom(s string, most int64) (int64, error) {
	if s == "auto" {
		return 0, nil
	}
	n, err := parseRoom(s, most)
	if err != nil {
		err = fmt.Errorf("%w, nor auto", err)
	}
	return n, err
}

func showAutoRoom(n int64) string {
	if n == 0 {
		return "auto"
	}
	return humanize.IBytes(uint64(n))
}

// parseDisk reads how much a relay may fill.
func parseDisk(s string) (int64, error) {
	n, err := ParseSize(s)
	if err == nil && n < MinDisk {
		err = fmt.Errorf("%s is too small, at least %s", s, humanize.IBytes(MinDisk))
	}
	return n, err
}

// multiaddrs catches what is plainly not an address, with its place, when the
// configuration is read; the node parses them in full.
func multiaddrs(addrs []string, withPeer bool) error {
	for _, a := range addrs {
		if !strings.HasPrefix(a, "/") || strings.ContainsAny(a, " \t\r\n") {
			return fmt.Errorf("%q is not a multiaddr such as /ip4/127.0.0.1/tcp/4001", a)
		}
		if withPeer && !strings.Contains(a, "/p2p/") {
			return fmt.Errorf("%q lacks the peer's id, /p2p/12D3Koo", a)
		}
	}
	return nil
}

func hostPort(s string) error {
	if s == "" {
		return nil
	}
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return fmt.Errorf("%q is not host:port", s)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("%q has no port between 0 and 65535", s)
	}
	return nil
}
