//go:build linux

package soak

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/godwit-im/godwit/cmd/godwit/soak/witness"
)

// asks has Hugo, whom nobody knows, write to Anna by her reusable address in the midst of a
// storm. He is killed soon after, and asks again where he does not find that he did.
func (w *world) asks(link string, off time.Duration) {
	hugo := w.all[hugo]
	const text = "hugo to anna, by her address"
	w.write(witness.Line{What: say, Who: hugo.who.String(), To: anna.String(), Text: text})
	said := witness.Line{What: "said", Who: hugo.who.String(), To: anna.String(), Text: text}
	asked := until(calmTime, func() bool {
		err := hugo.ask("accept", map[string]any{"link": link, "message": text}, nil)
		if off >= 0 {
			<-time.After(off)
			hugo.turn.Lock()
			if hugo.kill() {
				w.did(faultKill + " of a stranger")
			}
			hugo.turn.Unlock()
			hugo.start()
			off = -1 // once is enough
		}
		var all []json.RawMessage
		if json.Unmarshal(hugo.peek(anna), &all) != nil || len(all) == 0 {
			return false
		}
		if err != nil && len(all) != 1 {
			w.fault("hugo asked once and said %d things", len(all))
		}
		said.JSON = all[0]
		return true
	})
	if !asked {
		said.Err = "he never could"
		w.fault("hugo could not write to anna")
	}
	w.write(said)
}

// admits has Anna accept the stranger once the storm is over. From then on he is a contact like
// others: what he said first is there, once, and he learns that it is.
func (w *world) admits() {
	a, h := w.all[anna], w.all[hugo]
	var requests []struct{ ID, Text string }
	w.await("a stranger's request", calmTime, func() bool {
		list, err := items(a.askRaw(w.t.Context(), "requests", map[string]any{}))
		return err == nil && json.Unmarshal(list, &requests) == nil && len(requests) > 0
	})
	if len(requests) != 1 || requests[0].ID != h.account {
		w.fault("anna is asked by %+v", requests)
		return
	}
	if err := a.ask("request/accept", map[string]any{"id": h.account}, nil); err != nil {
		w.fault("anna cannot accept hugo: %v", err)
		return
	}
	a.says(hugo, "anna to hugo, welcome", "delivered", false)
	h.says(anna, "hugo to anna, thank you", "delivered", false)
	w.await("hugo and anna to have settled", calmTime, func() bool {
		return len(w.undelivered(h.peek(anna))) == 0 && strings.Count(string(a.peek(hugo)), `"id"`) == 3 && strings.Count(string(h.peek(anna)), `"delivered"`) == 2
	})
	for _, pair := range [][2]self{{anna, hugo}, {hugo, anna}} {
		w.all[pair[0]].reads(pair[1], witness.Line{Calm: true})
	}
}

// ways says through how many other relays the messages of trails went, and how many there are.
func ways(lines []witness.Line) string {
	through, straight := map[string]int{}, 0
	for _, l := range lines {
		var steps []struct{ What, Via string }
		if l.What != "trail" || json.Unmarshal(l.JSON, &steps) != nil {
			continue
		}
		for _, s := range slices.DeleteFunc(steps, func(s struct{ What, Via string }) bool { return s.What != "deposited" }) {
			if s.Via == "" {
				straight++
			} else {
				through[l.Who]++
			}
		}
	}
	return fmt.Sprintf("left through other relays %v, straight %d", through, straight)
}
