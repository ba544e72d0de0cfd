package single

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/config"
	"github.com/godwit-im/godwit/app/link"
	"github.com/godwit-im/godwit/app/problem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func profile(t *testing.T) config.Config {
	t.Helper()
	env := map[string]string{"GODWIT_NETWORK": "loopback"}
	cfg, _, err := config.Load(config.Sources{Getenv: func(k string) string { return env[k] }, Profile: filepath.Join(t.TempDir(), "profile")})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Create = true
	return cfg
}

// start is a first start, whose node runs with its local API until the test ends.
func start(t *testing.T, cfg config.Config) {
	t.Helper()
	first, err := Enter(t.Context(), cfg, "", "")
	if err != nil || first.App == nil || first.Node != nil {
		t.Fatalf("%+v, %v", first, err)
	}
	server, err := api.Listen(cfg.Dirs.Socket, first.App, config.Version)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- server.Run(ctx) }()
	go func() { ended <- first.App.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		for range 2 {
			if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
		if err := first.App.Close(); err != nil {
			t.Error(err)
		}
	})
}

// shown is what a window was asked to show.
type shown struct {
	link  link.Link
	token string
}

func TestASecondStartHandsItsLinkToTheFirst(t *testing.T) {
	cfg, asked := profile(t), make(chan shown, 1)
	first := cfg
	first.Window = func(_ context.Context, l link.Link, token string) error {
		asked <- shown{l, token}
		return nil
	}
	start(t, first)
	for text, want := range map[string]link.Link{"": {}, "godwit:requests": {Kind: link.Requests}, "godwit:c#echo": {Kind: link.Conversation, Conversation: "echo"}} {
		second, err := Enter(t.Context(), cfg, text, "token-7")
		if err != nil || second.App != nil || second.Node != nil {
			t.Fatalf("%q: %+v, %v", text, second, err)
		}
		select {
		case got := <-asked:
			if got != (shown{want, "token-7"}) {
				t.Errorf("%q: %+v", text, got)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("the first window heard nothing")
		}
	}

	if _, err := Enter(t.Context(), cfg, "http://example.com", ""); !errors.Is(err, problem.BadLink) {
		t.Errorf("a link of others: %v", err)
	}
	// One who speaks to the socket without asking us.
	node, err := api.Dial(t.Context(), cfg.Dirs.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer node.Close()
	if _, err := node.ShowWindow(t.Context(), api.ShowWindowRequest{Link: "godwit:c#../../etc"}); !errors.Is(err, problem.BadLink) {
		t.Errorf("a link of no known form: %v", err)
	}
	select {
	case got := <-asked:
		t.Errorf("the window was shown %+v", got)
	default:
	}
}

// A window that asks for a passphrase has no account to be found by; further starts find
// it all the same, and it keeps what they were to show.
func TestASecondStartFindsAWindowThatAsks(t *testing.T) {
	cfg, asked := profile(t), make(chan shown, 1)
	if err := cfg.Dirs.Make(); err != nil {
		t.Fatal(err)
	}
	if found, err := Find(t.Context(), cfg, "godwit:requests", ""); found || err != nil {
		t.Fatalf("nobody is there: %v, %v", found, err)
	}
	first := cfg
	first.Window = func(_ context.Context, l link.Link, token string) error {
		asked <- shown{l, token}
		return nil
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	await, err := Begin(t.Context(), first, "", "")
	if err != nil || await == nil {
		t.Fatal(err)
	}
	go func() { ended <- await(ctx) }()
	if found, err := Find(t.Context(), cfg, "godwit:requests", "token-7"); !found || err != nil {
		t.Fatal(found, err)
	}
	if got := <-asked; got != (shown{link.Link{Kind: link.Requests}, "token-7"}) {
		t.Errorf("%+v", got)
	}
	if _, err := Find(t.Context(), cfg, "http://example.com", ""); !errors.Is(err, problem.BadLink) {
		t.Errorf("a link of others: %v", err)
	}
	node, err := api.Dial(t.Context(), cfg.Dirs.WindowSocket())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := node.Status(t.Context(), api.StatusRequest{}); !errors.Is(err, problem.BadRequest) {
		t.Errorf("it answers for an account that is not open: %v", err)
	}
	node.Close()
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if found, err := Find(t.Context(), cfg, "", ""); found || err != nil {
		t.Errorf("it is found when it is gone: %v, %v", found, err)
	}
}

// Of windows that are started at one moment one stays, and has the links of the others.
func TestOfStartsAtOneMomentOneStays(t *testing.T) {
	const starts = 8
	cfg, asked := profile(t), make(chan shown, starts)
	if err := cfg.Dirs.Make(); err != nil {
		t.Fatal(err)
	}
	cfg.Window = func(_ context.Context, l link.Link, token string) error {
		asked <- shown{l, token}
		return nil
	}
	ctx, stop := context.WithCancel(t.Context())
	stays := make(chan bool, starts)
	var running sync.WaitGroup
	for range starts {
		running.Go(func() {
			await, err := Begin(ctx, cfg, "godwit:requests", "token-7")
			if err != nil {
				t.Error(err)
			}
			if stays <- await != nil; await == nil {
				return
			}
			if err := await(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	n := 0
	for range starts {
		if <-stays {
			n++
		}
	}
	if n != 1 || len(asked) != starts-1 {
		t.Errorf("%d stay, one was asked %d times", n, len(asked))
	}
	stop()
	running.Wait()
	if await, err := Begin(t.Context(), cfg, "", ""); err != nil || await == nil {
		t.Errorf("nobody takes the place of one that is gone: %v", err)
	} else if err := await(ctx); err != nil {
		t.Error(err)
	}
}

func TestTheWindowWorksOnANodeThatRuns(t *testing.T) {
	cfg := profile(t)
	start(t, cfg) // as `godwit node`
	second, err := Enter(t.Context(), cfg, "godwit:", "")
	if err != nil || second.Node == nil || second.App != nil {
		t.Fatalf("%+v, %v", second, err)
	}
	defer second.Node.Close()
	if s, err := second.Node.Status(t.Context(), api.StatusRequest{}); err != nil || s.Account == "" {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestAFirstStartWithABadLinkMakesNothing(t *testing.T) {
	cfg := profile(t)
	if _, err := Enter(t.Context(), cfg, "godwit:send?x", ""); !errors.Is(err, problem.BadLink) {
		t.Fatal(err)
	}
	cfg.Create = false
	if _, err := Enter(t.Context(), cfg, "", ""); !errors.Is(err, problem.NoAccount) {
		t.Errorf("an account was made: %v", err)
	}
}

func TestToken(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		want string
	}{
		{nil, ""},
		{map[string]string{"DESKTOP_STARTUP_ID": "x"}, "x"},
		{map[string]string{"DESKTOP_STARTUP_ID": "x", "XDG_ACTIVATION_TOKEN": "w"}, "w"},
	} {
		if got := Token(func(k string) string { return c.env[k] }); got != c.want {
			t.Errorf("%v: %q", c.env, got)
		}
	}
}
