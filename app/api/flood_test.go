package api

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/p2p/local"
)

// hasty serves with little patience, so that a test need not have it either.
func hasty(t *testing.T, b Backend, p patience) (path string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the same code, over a pipe")
	}
	dir, err := os.MkdirTemp("", "gw") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(dir, "s")
	s, err := Listen(path, b, "v")
	if err != nil {
		t.Fatal(err)
	}
	s.waits = p
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		os.RemoveAll(dir)
	})
	return path
}

// say opens a connection and says something on it.
func say(t *testing.T, path, what string) net.Conn {
	t.Helper()
	c, err := local.Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := io.WriteString(c, what); err != nil {
		t.Fatal(err)
	}
	return c
}

// ends waits until the server hangs up.
func ends(t *testing.T, c net.Conn, what string) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%s: the connection is still held", what)
	}
}

func served(t *testing.T, path, while string) {
	t.Helper()
	if _, err := connect(t, path).Status(t.Context(), StatusRequest{}); err != nil {
		t.Errorf("while there are %s: %v", while, err)
	}
}

// A program of the person's opens connections without end and says nothing, or something that is no request, or one that
// does not end. All of them are hung up on, and others are served.
func TestBrokenProgramsAreHungUpOn(t *testing.T) {
	path := hasty(t, &fake{}, patience{time.Second, 2 * time.Second, 2 * time.Second})
	broken := map[string]net.Conn{}
	for name, what := range map[string]string{
		"nothing":               "",
		"half a head":           "POST /v1/status HTTP/1.1\r\nHost: x\r\nX: ",
		"noise":                 "\x00\x16\x03\x01\r\n\r\n\r\n",
		"a head of 64 KiB":      "POST /v1/status HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 64<<10),
		"no body":               "POST /v1/status HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n",
		"half a body":           "POST /v1/status HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
		"a body for nobody":     "POST /v1/none HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n",
		"a body for a question": "GET /v1/version HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n",
		"a body for events":     "GET /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n",
		"more than it says":     "POST /v1/status HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}{}{}{}{}\r\n",
		"a chunk without end":   "POST /v1/status HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n{\"",
		"two lengths":           "POST /v1/status HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
		"a body that is deep":   "POST /v1/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("[", 100000),
	} {
		broken[name] = say(t, path, what)
	}
	for name, c := range broken {
		ends(t, c, name)
	}
	var all []net.Conn
	for i := range maxConns + 100 {
		what := ""
		if i%2 == 0 {
			what = "POST /v1/status HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"
		}
		all = append(all, say(t, path, what))
	}
	stacks := make([]byte, 16<<20)
	for range 30 { // until the server has come to all that it takes
		if n := strings.Count(string(stacks[:runtime.Stack(stacks, true)]), "net/http.(*conn).serve("); n > maxConns {
			t.Fatalf("%d connections are answered at once", n)
		}
		time.Sleep(10 * time.Millisecond)
	}
	served(t, path, "many that say nothing")
	for _, c := range all {
		ends(t, c, "one of many")
	}
}

// large is a Backend with much to read.
type large struct {
	fake
	text string
}

func (l *large) Messages(context.Context, MessagesRequest) ([]Message, error) {
	return []Message{{Text: l.text}}, nil
}

// Programs ask for much and read nothing. So many answers as may lie there do, nobody who asks for little has to wait, and who is too
// slow is hung up on; then there is room again.
func TestSlowReadersOfAnswers(t *testing.T) {
	path := hasty(t, &large{text: strings.Repeat("x", 300<<10)}, patience{usual.head, usual.whole, 8 * time.Second})
	const ask = "POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
	var slow []net.Conn
	for range maxLarge {
		slow = append(slow, say(t, path, ask))
	}
	c := connect(t, path)
	late := time.After(20 * time.Second)
	for tick := time.Tick(100 * time.Millisecond); ; {
		if _, err := c.Messages(t.Context(), MessagesRequest{}); errors.Is(err, problem.NodeBusy) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		slow = append(slow, say(t, path, ask)) // our own may have had the place of one
		select {
		case <-late:
			t.Fatal("as many answers lie there as somebody likes")
		case <-tick:
		}
	}
	served(t, path, "slow readers")
	for _, s := range slow { // nothing is read before it was hung up on
		awaitHangUp(t, s)
	}
	if list, err := c.Messages(t.Context(), MessagesRequest{}); err != nil || len(list) != 1 || len(list[0].Text) != 300<<10 {
		t.Errorf("afterwards %d messages, %v", len(list), err)
	}
}

// awaitHangUp waits until who does not read an answer is hung up on.
func awaitHangUp(t *testing.T, c net.Conn) {
	t.Helper()
	late := time.After(20 * time.Second)
	for tick := time.Tick(10 * time.Millisecond); ; {
		if _, err := c.Write([]byte("x")); err != nil {
			return
		}
		select {
		case <-late:
			t.Fatal("who does not read is waited for")
		case <-tick:
		}
	}
}

// A program asks and asks, reads nothing of it, and what it asks for is refused: it is hung up on all the same.
func TestWhoNeverReadsIsHungUpOn(t *testing.T) {
	path := hasty(t, &fake{}, patience{usual.head, usual.whole, time.Second})
	const ask = "POST /v1/none HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
	c := say(t, path, ask)
	if err := c.SetWriteDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := io.WriteString(c, ask); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal("who does not read is waited for")
		} else if err != nil {
			return
		}
	}
}

// Requests that are large and slow have few places, and small ones need none.
func TestLargeRequestsAreFew(t *testing.T) {
	path := hasty(t, &fake{}, patience{2 * time.Second, 8 * time.Second, usual.taken})
	slow := func() {
		say(t, path, fmt.Sprintf("POST /v1/send HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n{\"text\":\"", maxBody))
	}
	for range maxLarge {
		slow()
	}
	c := connect(t, path)
	for more := 0; ; more++ {
		_, err := c.Send(t.Context(), SendRequest{Text: strings.Repeat("x", largeBody)})
		if errors.Is(err, problem.NodeBusy) {
			break
		}
		if err != nil || more > 3*maxLarge {
			t.Fatal("large requests have no bound", err)
		}
		slow() // our own may have had the place of one
	}
	served(t, path, "large requests")
	late := time.After(20 * time.Second)
	for tick := time.Tick(10 * time.Millisecond); ; {
		_, err := c.Send(t.Context(), SendRequest{Text: strings.Repeat("x", largeBody)})
		if err == nil {
			return
		}
		if !errors.Is(err, problem.NodeBusy) {
			t.Fatal(err)
		}
		select {
		case <-late:
			t.Fatal("the places are not given back")
		case <-tick:
		}
	}
}

// Streams of events last, so they are few enough to leave room for all else.
func TestStreamsOfEventsAreBounded(t *testing.T) {
	f := &fake{events: make(chan Event)}
	path := hasty(t, f, usual)
	var streams []net.Conn
	for range maxStreams {
		c := say(t, path, "GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatal(res, err)
		}
		streams = append(streams, c)
	}
	c := connect(t, path)
	listen := func() (err error) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		return c.Events(ctx, EventsRequest{}, func(Event) error { cancel(); return nil })
	}
	if err := listen(); !errors.Is(err, problem.NodeBusy) {
		t.Errorf("one stream too many: %v", err)
	}
	served(t, path, "many streams")
	var going sync.WaitGroup
	for _, s := range streams[:10] {
		going.Go(func() { s.Close() })
	}
	going.Wait()
	late := time.After(20 * time.Second)
	for tick := time.Tick(10 * time.Millisecond); ; {
		if err := listen(); errors.Is(err, context.Canceled) {
			return
		} else if !errors.Is(err, problem.NodeBusy) {
			t.Fatal(err)
		}
		select {
		case <-late:
			t.Fatal("the places are not given back")
		case <-tick:
		}
	}
}
