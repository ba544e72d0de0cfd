package direct_test

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/godwit-im/godwit/p2p/direct"
	"github.com/godwit-im/godwit/p2p/node"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"go.uber.org/goleak"
)

const victimEnv = "GODWIT_TEST_VICTIM"

func TestMain(m *testing.M) {
	if s := os.Getenv(victimEnv); s != "" {
		if err := victim(s); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// victim is a process that accepts everything, until it is killed.
func victim(session string) error {
	b, err := hex.DecodeString(session)
	if err != nil || len(b) != 64 {
		return fmt.Errorf("session %q", session)
	}
	n, err := node.New(node.Config{Mode: node.Loopback})
	if err != nil {
		return err
	}
	defer n.Close()
	p := newPerson(&testing.T{}, "victim", n, direct.Config{})
	p.know(func() {
		p.sessions = []direct.Session{{ID: direct.SessionID(b[:32]), Auth: [32]byte(b[32:])}}
	})
	for _, a := range n.PeerAddrs() {
		fmt.Println(a)
	}
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin) // until the parent ends
	return err
}

// kill -9 of Bob's process while Alice waits for an answer: she knows at once
// over TCP, whose system says so, and within 4 s over QUIC.
func TestKilledPeerIsNoticed(t *testing.T) {
	for name, c := range map[string]struct {
		code   int
		within time.Duration
	}{
		"tcp":  {ma.P_TCP, time.Second},
		"quic": {ma.P_QUIC_V1, 4500 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			alice := loopback(t, "alice")
			s := befriend(alice, alice)
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), victimEnv+"="+hex.EncodeToString(append(s.ID[:], s.Auth[:]...)))
			cmd.Stderr = os.Stderr
			stdin, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			defer stdin.Close()
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer cmd.Wait()
			defer cmd.Process.Kill()
			var bob peer.AddrInfo
			for lines := bufio.NewScanner(stdout); lines.Scan() && !strings.HasPrefix(lines.Text(), "ready"); {
				i, err := peer.AddrInfoFromString(lines.Text())
				if err != nil {
					t.Fatal(err)
				}
				bob.ID = i.ID
				if _, err := i.Addrs[0].ValueForProtocol(c.code); err == nil {
					bob.Addrs = append(bob.Addrs, i.Addrs...)
				}
			}
			conn, err := alice.Connect(ctx, bob, s)
			if err != nil {
				t.Fatal(err)
			}
			send(t, conn, message("alive?"))
			alice.await(func() bool { return len(alice.acked) == 1 })

			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			// It may be noticed before the message leaves.
			if err := conn.Send(ctx, message("and now?")); err != nil && conn.Err() == nil {
				t.Error(err)
			}
			<-conn.Done()
			d := time.Since(start)
			if d > c.within {
				t.Errorf("noticed after %v", d)
			}
			alice.await(func() bool { return len(alice.up) == 0 })
			t.Logf("noticed after %v: %v", d.Round(time.Millisecond), conn.Err())
			if errors.Is(conn.Err(), direct.ErrLeft) {
				t.Error("a killed process said good-bye")
			}
		})
	}
}
