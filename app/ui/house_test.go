package ui

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/search"
	"github.com/godwit-im/godwit/app/ui/timeline"
	"github.com/godwit-im/godwit/app/ui/widget"
)

// house is a host and an account made up for a test. Only what the window asks for is
// there.
type house struct {
	api.Backend
	err error // of Open

	mu       sync.Mutex
	name     string
	convs    []api.Conversation
	messages map[string][]api.Message
	requests []api.Request
	relays   []api.Relay
	friends  api.FriendsRelay
	sent     []api.SendRequest
	read     []api.MarkReadRequest
	drafts   map[string]string
	decided  []string
	forgot   bool // the recovery words
	choices  api.Settings
	timers   []api.SetTimerRequest
	typing   []api.TypingRequest
	lost     string                                     // a conversation that is not there
	mute     int                                        // how many questions about conversations there is no answer to
	seek     func(api.SearchRequest) (api.Found, error) // instead of the usual search
	events   chan api.Event
}

func newHouse() *house {
	return &house{friends: api.FriendsRelay{State: api.FriendsOff, MaxDisk: 1 << 30, Share: 64 << 20, Days: 30, Daily: 1 << 30, Today: 5 << 20, Friends: 12, Using: 7, Disk: 34 << 20,
		Month: &api.FriendsMonth{Taken: 41 << 20, Given: 39 << 20}}, events: make(chan api.Event, 100), messages: map[string][]api.Message{}, drafts: map[string]string{}}
}

func (h *house) Open(context.Context, string) (api.Backend, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h, h.err
}
func (h *house) Create(_ context.Context, name string) (api.Backend, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.name = name
	return h, nil
}
func (h *house) Restore(_ context.Context, _, words string) (api.Backend, error) {
	if len(strings.Fields(words)) != 24 {
		return nil, problem.New(problem.WrongWords, nil)
	}
	return h, nil
}
func (h *house) SetFriendsRelay(_ context.Context, r api.SetFriendsRelayRequest) (api.FriendsRelay, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r.Contact != "" {
		h.friends.But = nil
		if !*r.On {
			h.friends.But = []api.Excepted{{Contact: r.Contact, Name: "Anna"}}
		}
		return h.friends, nil
	}
	if r.On != nil {
		h.friends.On, h.friends.State, h.friends.Relay = *r.On, api.FriendsOn, "12D3KooWhome"
		if !*r.On {
			h.friends.State, h.friends.Cells, h.friends.Bytes = api.FriendsDraining, 3, 12<<10
		}
	}
	if r.Share != nil {
		h.friends.Share, h.friends.MaxDisk = *r.Share, *r.MaxDisk
	}
	if r.Daily != nil {
		h.friends.Daily = *r.Daily
	}
	if r.Days != nil {
		h.friends.Days = *r.Days
	}
	return h.friends, nil
}
func (h *house) AddRelay(_ context.Context, r api.AddRelayRequest) (api.Relay, error) {
	return api.Relay{Addrs: []string{r.Addr}}, nil
}
func (h *house) TestNetwork(context.Context, api.TestNetworkRequest) (api.NetworkTest, error) {
	return api.NetworkTest{Relays: []api.RelayTest{{Relay: "12D3KooWabcdefgh", Connect: 48, Answer: 12}, {Relay: "12D3KooWzyxw", Reason: "nobody listens at its address"}}, DHT: &api.DHTTest{Answered: 17, Took: 820}}, nil
}
func (h *house) Status(context.Context, api.StatusRequest) (api.Status, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return api.Status{Account: "me", Name: "Jonas", Network: "loopback", Words: !h.forgot, Relays: slices.Clone(h.relays), FriendsRelay: new(h.friends)}, nil
}
func (h *house) Conversations(_ context.Context, r api.ConversationsRequest) (list []api.Conversation, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.mute > 0 {
		h.mute--
		return nil, problem.New(problem.StoreDamaged, nil)
	}
	if h.lost != "" && slices.Contains(r.Only, h.lost) {
		return nil, problem.New(problem.NoSuchContact, nil)
	}
	for _, c := range h.convs {
		if len(r.Only) == 0 || slices.Contains(r.Only, c.ID) {
			list = append(list, c)
		}
	}
	return list, nil
}
func (h *house) SetConversation(_ context.Context, r api.SetConversationRequest) (api.Conversation, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range h.convs {
		c := &h.convs[i]
		if c.ID != r.Conversation {
			continue
		}
		if r.Draft != nil {
			c.Draft = *r.Draft
			h.drafts[c.ID] = c.Draft
		}
		if r.Pinned != nil {
			c.Pinned = *r.Pinned
		}
		if r.Archived != nil {
			c.Archived = *r.Archived
		}
		return *c, nil
	}
	return api.Conversation{}, problem.New(problem.NoSuchContact, nil)
}
func (h *house) MarkRead(_ context.Context, r api.MarkReadRequest) (api.Conversation, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.read = append(h.read, r)
	return api.Conversation{}, nil
}
func (h *house) Messages(_ context.Context, r api.MessagesRequest) ([]api.Message, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	list, n := h.messages[r.Contact], r.Limit
	is := func(id string) int { return slices.IndexFunc(list, func(m api.Message) bool { return m.ID == id }) }
	from, to := len(list)-n, len(list)
	switch {
	case r.Around != "":
		from = is(r.Around) - n/2
		to = from + n
	case r.Before != "":
		to = is(r.Before)
		from = to - n
	case r.After != "":
		from = is(r.After) + 1
		to = from + n
	}
	return slices.Clone(list[min(max(from, 0), len(list)):min(max(to, 0), len(list))]), nil
}

// say is something that is said, or becomes of what was said.
func (h *house) say(m api.Message) {
	h.mu.Lock()
	list := h.messages[m.Conversation]
	if i := slices.IndexFunc(list, func(o api.Message) bool { return o.ID == m.ID }); i >= 0 {
		list[i] = m
	} else {
		list = append(list, m)
	}
	h.messages[m.Conversation] = list
	h.mu.Unlock()
	h.events <- api.MessageEvent(m.Time.Time, m, api.ChangeNew)
}
func (h *house) Send(_ context.Context, r api.SendRequest) (api.Sent, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if strings.Contains(r.Text, "too long") {
		return api.Sent{}, problem.New(problem.BadText, nil)
	}
	h.sent = append(h.sent, r)
	return api.Sent{}, nil
}
func (h *house) Edit(_ context.Context, r api.EditRequest) (api.Sent, error) {
	return h.Send(context.Background(), api.SendRequest{Text: r.Text})
}
func (h *house) Requests(context.Context, api.RequestsRequest) ([]api.Request, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.requests), nil
}
func (h *house) IgnoreRequest(_ context.Context, r api.DecideRequest) (api.Decided, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.decided = append(h.decided, "ignore "+r.ID)
	h.requests = nil
	return api.Decided{}, nil
}
func (h *house) Relays(context.Context, api.RelaysRequest) ([]api.Relay, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.relays), nil
}
func (h *house) Invite(context.Context, api.InviteRequest) (api.Invitation, error) {
	return api.Invitation{ID: "1", Link: "godwit:i#abc", Kind: "single", State: "open", Relays: 1}, nil
}
func (h *house) Phrase(_ context.Context, r api.PhraseRequest) (api.Phrase, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.forgot = r.Written
	return api.Phrase{Words: strings.Fields(strings.Repeat("abandon ", 24)), Forgotten: r.Written}, nil
}
func (h *house) Contacts(context.Context, api.ContactsRequest) ([]api.Contact, error) {
	return []api.Contact{{ID: "anna", Name: "Anna"}}, nil
}
func (h *house) Verify(context.Context, api.VerifyRequest) (api.SafetyNumber, error) {
	return api.SafetyNumber{Number: strings.TrimSpace(strings.Repeat("12345 ", 12))}, nil
}
func (h *house) Trail(context.Context, api.TrailRequest) ([]api.Step, error) {
	return []api.Step{{What: api.StepQueued}, {What: api.StepState, State: api.Queued, Reason: "nobody can be reached"}}, nil
}
func (h *house) Search(_ context.Context, r api.SearchRequest) (f api.Found, _ error) {
	h.mu.Lock()
	seek := h.seek
	h.mu.Unlock()
	if seek != nil {
		return seek(r)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range []string{"anna", "ben"} {
		for _, m := range h.messages[id] {
			if (r.Conversation == "" || r.Conversation == id) && search.Parse(r.Text).Find(m.Text) != nil {
				m.Conversation = id
				f.Messages = append(f.Messages, api.FoundMessage{Message: m, Snippet: m.Text})
			}
		}
	}
	slices.SortStableFunc(f.Messages, func(a, b api.FoundMessage) int { return b.Message.Time.Compare(a.Message.Time.Time) })
	return f, nil
}
func (h *house) Events(ctx context.Context, _ api.EventsRequest, each func(api.Event) error) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e := <-h.events:
			if e.Event == "" {
				return problem.New(problem.EventsLost, nil)
			}
			if err := each(e); err != nil {
				return err
			}
		}
	}
}

// sight is a window under test: what is done on its thread waits in a queue.
type sight struct {
	*Desk
	t     *testing.T
	queue chan func()
	later time.Duration // how far the window's clock is ahead
}

// look opens a window of a size on a house, with options changed.
func look(t *testing.T, h Host, size fyne.Size, change ...func(*Options)) *sight {
	t.Helper()
	a := test.NewTempApp(t)
	s := &sight{t: t, queue: make(chan func(), 1000)}
	ctx, stop := context.WithCancel(t.Context())
	o := Options{Name: "Jonas", Do: func(f func()) { s.queue <- f }}
	for _, f := range change {
		f(&o)
	}
	s.Desk = New(ctx, a, h, o)
	s.Desk.now = func() time.Time { return time.Now().Add(s.later) }
	s.win.Resize(size)
	s.win.Show()
	t.Cleanup(func() {
		stop()
		s.Wait()
		s.win.Close()
	})
	return s
}

// until runs what waits for the window's thread until something is so.
func (s *sight) until(what string, so func() bool) {
	s.t.Helper()
	late := time.After(10 * time.Second)
	again := time.NewTicker(2 * time.Millisecond) // for what is not on the window's thread
	defer again.Stop()
	for !so() {
		select {
		case f := <-s.queue:
			f()
		case <-again.C:
		case <-late:
			s.t.Fatalf("it never came to this: %s\n%s", what, strings.Join(s.words(), "\n"))
		}
	}
}

// each calls f with all that the window shows, and with what is inside of it if f says so.
func (s *sight) each(f func(fyne.CanvasObject) (inside bool)) {
	var walk func(fyne.CanvasObject)
	walk = func(o fyne.CanvasObject) {
		if o == nil || !o.Visible() || !f(o) {
			return
		}
		switch o := o.(type) {
		case *fyne.Container:
			for _, c := range o.Objects {
				walk(c)
			}
		case fyne.Widget:
			for _, c := range test.WidgetRenderer(o).Objects() {
				walk(c)
			}
		}
	}
	for _, o := range s.win.Canvas().Overlays().List() {
		walk(o)
	}
	walk(s.win.Content())
}

// words are all texts that the window shows.
func (s *sight) words() (list []string) {
	s.each(func(o fyne.CanvasObject) bool {
		switch o := o.(type) {
		case *widget.Text:
			list = append(list, o.String())
		case *widget.Para:
			list = append(list, o.String())
		case *timeline.Timeline:
			for _, r := range o.InSight() {
				list = append(list, r.Label)
				if r.Message != nil {
					list = append(list, r.Message.Title, r.Message.Text)
					list = append(list, r.Message.Actions...)
				}
				if r.Words {
					list = append(list, r.Message.Words)
				}
			}
		default:
			return true
		}
		return false
	})
	for i, w := range list {
		list[i] = strings.ReplaceAll(w, "\u00a0", " ")
	}
	return list
}

func (s *sight) says(text string) bool {
	return slices.ContainsFunc(s.words(), func(w string) bool { return strings.Contains(w, text) })
}

// write types a text where the keys go, and Enter.
func (s *sight) write(text string) {
	s.t.Helper()
	entry := s.win.Canvas().Focused()
	if entry == nil {
		s.t.Fatal("nothing has the focus")
	}
	test.Type(entry, text)
	s.later += time.Second // Enter that comes with a text belongs to an input method
	entry.TypedKey(enter)
}

// press presses what is called so.
func (s *sight) press(name string) {
	s.t.Helper()
	var found fyne.Tappable
	s.each(func(o fyne.CanvasObject) bool {
		if p, ok := o.(fyne.Tappable); ok && found == nil {
			if a, ok := o.(fyne.Accessible); ok && strings.ReplaceAll(a.AccessibilityLabel(), "\u00a0", " ") == name {
				found = p
			}
		}
		return found == nil
	})
	if found == nil {
		s.t.Fatalf("nothing is called %q; there is\n%s", name, strings.Join(s.words(), "\n"))
	}
	found.Tapped(&fyne.PointEvent{})
}

var enter = &fyne.KeyEvent{Name: fyne.KeyReturn}

var (
	wide   = fyne.NewSize(1280, 800)
	narrow = fyne.NewSize(560, 640)
)

func at(hour int) api.Time {
	return api.Time{Time: time.Date(2026, 11, 20, hour, 0, 0, 0, time.UTC)}
}

// harbour is a house with people in it.
func harbour() *house {
	h := newHouse()
	h.relays = []api.Relay{{Relay: "12D3KooWabcdefgh", State: "connected", Addrs: []string{"/ip4/127.0.0.1/tcp/4001/p2p/12D3KooWabcdefgh"}}}
	h.convs = []api.Conversation{
		{ID: "anna", Kind: api.KindPerson, Name: "Anna", Verified: true, Connected: true, Active: at(9), Unread: 2, FirstUnread: "m2",
			Last: &api.Message{ID: "m3", Author: "anna", Text: "See you there", Time: at(9), Kind: "text"}},
		{ID: "ben", Kind: api.KindPerson, Name: "Ben", Active: at(8)},
	}
	h.messages["anna"] = []api.Message{
		{ID: "m1", Author: "me", Text: "Hello Anna", Time: at(7), Kind: "text", State: api.Delivered},
		{ID: "m2", Author: "anna", Text: "Hello Jonas", Time: at(8), Kind: "text"},
		{ID: "m3", Author: "anna", Text: "See you there", Time: at(9), Kind: "text"},
	}
	return h
}
