package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"go.uber.org/goleak"

	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/p2p/local"
)

// fake is a Backend that answers every method with a value filled from its
// name, remembers what it was asked, and can be told to fail.
type fake struct {
	Backend // nil: a method that fake forgets would panic

	mu     sync.Mutex
	asked  any
	fail   error
	events chan Event
}

func answer[Req, Resp any](f *fake, req Req) (resp Resp, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = req
	if f.fail != nil {
		return resp, f.fail
	}
	fill(reflect.ValueOf(&resp).Elem(), 1)
	return resp, nil
}

func (f *fake) Status(_ context.Context, r StatusRequest) (Status, error) {
	return answer[StatusRequest, Status](f, r)
}
func (f *fake) Invite(_ context.Context, r InviteRequest) (Invitation, error) {
	return answer[InviteRequest, Invitation](f, r)
}
func (f *fake) Invites(_ context.Context, r InvitesRequest) ([]Invitation, error) {
	return answer[InvitesRequest, []Invitation](f, r)
}
func (f *fake) RevokeInvite(_ context.Context, r InvitationRequest) (Invitation, error) {
	return answer[InvitationRequest, Invitation](f, r)
}
func (f *fake) Accept(_ context.Context, r AcceptRequest) (Accepted, error) {
	return answer[AcceptRequest, Accepted](f, r)
}
func (f *fake) Requests(_ context.Context, r RequestsRequest) ([]Request, error) {
	return answer[RequestsRequest, []Request](f, r)
}
func (f *fake) AcceptRequest(_ context.Context, r DecideRequest) (Contact, error) {
	return answer[DecideRequest, Contact](f, r)
}
func (f *fake) IgnoreRequest(_ context.Context, r DecideRequest) (Decided, error) {
	return answer[DecideRequest, Decided](f, r)
}
func (f *fake) BlockRequest(_ context.Context, r DecideRequest) (Contact, error) {
	return answer[DecideRequest, Contact](f, r)
}
func (f *fake) Contacts(_ context.Context, r ContactsRequest) ([]Contact, error) {
	return answer[ContactsRequest, []Contact](f, r)
}
func (f *fake) RenameContact(_ context.Context, r RenameRequest) (Contact, error) {
	return answer[RenameRequest, Contact](f, r)
}
func (f *fake) BlockContact(_ context.Context, r ContactRequest) (Contact, error) {
	return answer[ContactRequest, Contact](f, r)
}
func (f *fake) UnblockContact(_ context.Context, r ContactRequest) (Contact, error) {
	return answer[ContactRequest, Contact](f, r)
}
func (f *fake) RemoveContact(_ context.Context, r ContactRequest) (Contact, error) {
	return answer[ContactRequest, Contact](f, r)
}
func (f *fake) Verify(_ context.Context, r VerifyRequest) (SafetyNumber, error) {
	return answer[VerifyRequest, SafetyNumber](f, r)
}
func (f *fake) Send(_ context.Context, r SendRequest) (Sent, error) {
	return answer[SendRequest, Sent](f, r)
}
func (f *fake) React(_ context.Context, r ReactRequest) (Sent, error) {
	return answer[ReactRequest, Sent](f, r)
}
func (f *fake) Edit(_ context.Context, r EditRequest) (Sent, error) {
	return answer[EditRequest, Sent](f, r)
}
func (f *fake) Delete(_ context.Context, r DeleteRequest) (Sent, error) {
	return answer[DeleteRequest, Sent](f, r)
}
func (f *fake) Forward(_ context.Context, r ForwardRequest) (Sent, error) {
	return answer[ForwardRequest, Sent](f, r)
}
func (f *fake) Introduce(_ context.Context, r IntroduceRequest) (Sent, error) {
	return answer[IntroduceRequest, Sent](f, r)
}
func (f *fake) AcceptIntroduction(_ context.Context, r AcceptIntroductionRequest) (Accepted, error) {
	return answer[AcceptIntroductionRequest, Accepted](f, r)
}
func (f *fake) SetTimer(_ context.Context, r SetTimerRequest) (Sent, error) {
	return answer[SetTimerRequest, Sent](f, r)
}
func (f *fake) Typing(_ context.Context, r TypingRequest) (Typed, error) {
	return answer[TypingRequest, Typed](f, r)
}
func (f *fake) Settings(_ context.Context, r SettingsRequest) (Settings, error) {
	return answer[SettingsRequest, Settings](f, r)
}
func (f *fake) SetSettings(_ context.Context, r SetSettingsRequest) (Settings, error) {
	return answer[SetSettingsRequest, Settings](f, r)
}
func (f *fake) Trail(_ context.Context, r TrailRequest) ([]Step, error) {
	return answer[TrailRequest, []Step](f, r)
}
func (f *fake) Messages(_ context.Context, r MessagesRequest) ([]Message, error) {
	return answer[MessagesRequest, []Message](f, r)
}
func (f *fake) Conversations(_ context.Context, r ConversationsRequest) ([]Conversation, error) {
	return answer[ConversationsRequest, []Conversation](f, r)
}
func (f *fake) SetConversation(_ context.Context, r SetConversationRequest) (Conversation, error) {
	return answer[SetConversationRequest, Conversation](f, r)
}
func (f *fake) MarkRead(_ context.Context, r MarkReadRequest) (Conversation, error) {
	return answer[MarkReadRequest, Conversation](f, r)
}
func (f *fake) Star(_ context.Context, r StarRequest) (Message, error) {
	return answer[StarRequest, Message](f, r)
}
func (f *fake) PinMessage(_ context.Context, r PinMessageRequest) (Message, error) {
	return answer[PinMessageRequest, Message](f, r)
}
func (f *fake) Marked(_ context.Context, r MarkedRequest) ([]Message, error) {
	return answer[MarkedRequest, []Message](f, r)
}
func (f *fake) AddEcho(_ context.Context, r AddEchoRequest) (Conversation, error) {
	return answer[AddEchoRequest, Conversation](f, r)
}
func (f *fake) Search(_ context.Context, r SearchRequest) (Found, error) {
	return answer[SearchRequest, Found](f, r)
}
func (f *fake) AddRelay(_ context.Context, r AddRelayRequest) (Relay, error) {
	return answer[AddRelayRequest, Relay](f, r)
}
func (f *fake) RemoveRelay(_ context.Context, r RelayRequest) (Relay, error) {
	return answer[RelayRequest, Relay](f, r)
}
func (f *fake) Relays(_ context.Context, r RelaysRequest) ([]Relay, error) {
	return answer[RelaysRequest, []Relay](f, r)
}
func (f *fake) FriendsRelay(_ context.Context, r FriendsRelayRequest) (FriendsRelay, error) {
	return answer[FriendsRelayRequest, FriendsRelay](f, r)
}
func (f *fake) SetFriendsRelay(_ context.Context, r SetFriendsRelayRequest) (FriendsRelay, error) {
	return answer[SetFriendsRelayRequest, FriendsRelay](f, r)
}
func (f *fake) TestNetwork(_ context.Context, r TestNetworkRequest) (NetworkTest, error) {
	return answer[TestNetworkRequest, NetworkTest](f, r)
}
func (f *fake) Phrase(_ context.Context, r PhraseRequest) (Phrase, error) {
	return answer[PhraseRequest, Phrase](f, r)
}
func (f *fake) Lock(_ context.Context, r LockRequest) (Protection, error) {
	return answer[LockRequest, Protection](f, r)
}
func (f *fake) Unlock(_ context.Context, r UnlockRequest) (Protection, error) {
	return answer[UnlockRequest, Protection](f, r)
}
func (f *fake) ShowWindow(_ context.Context, r ShowWindowRequest) (Shown, error) {
	return answer[ShowWindowRequest, Shown](f, r)
}

func (f *fake) Events(ctx context.Context, _ EventsRequest, each func(Event) error) error {
	if err := each(Event{Event: EventReady, At: someTime, Account: "me", Addrs: []string{"/ip4/127.0.0.1/tcp/1"}}); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e, open := <-f.events:
			if !open {
				return problem.New(problem.EventsLost, nil)
			}
			if err := each(e); err != nil {
				return err
			}
		}
	}
}

var someTime = Time{time.Date(2026, 3, 4, 5, 6, 7, 89e6, time.UTC)}

// fill puts a different value into every field, so that one which is dropped or
// swapped on the way is seen.
func fill(v reflect.Value, n int) int {
	switch v.Interface().(type) {
	case Time:
		v.Set(reflect.ValueOf(Time{someTime.Add(time.Duration(n) * time.Second)}))
		return n + 1
	case Duration:
		v.Set(reflect.ValueOf(Duration(n) * Duration(time.Millisecond)))
		return n + 1
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprintf("<%d & \"ü\">", n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(n))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return fill(v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			n = fill(v.Index(i), n)
		}
		return n
	case reflect.Struct:
		for i := range v.NumField() {
			n = fill(v.Field(i), n)
		}
		return n
	}
	return n + 1
}

// serve runs a server on a socket of its own until the test ends.
func serve(t *testing.T, b Backend) (path string, stop func()) {
	t.Helper()
	dir, err := os.MkdirTemp("", "gw")
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(dir, "api.sock")
	if runtime.GOOS == "windows" {
		path = `\\.\pipe\` + filepath.Base(dir)
	}
	s, err := Listen(path, b, "1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	t.Cleanup(func() { stop(); _ = os.RemoveAll(dir) })
	return path, stop
}

func connect(t *testing.T, path string) *Client {
	t.Helper()
	c, err := Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Every method of Backend, with every field of its request and answer, comes
// through the socket as it went in.
func TestEveryCommandTravelsWhole(t *testing.T) {
	f := &fake{}
	path, _ := serve(t, f)
	c := connect(t, path)
	if c.Node().Version != "1.2.3" || c.Node().PID != os.Getpid() {
		t.Errorf("%+v", c.Node())
	}
	methods := reflect.TypeFor[Backend]()
	for i := range methods.NumMethod() {
		m := methods.Method(i)
		if m.Name == "Events" {
			continue
		}
		t.Run(m.Name, func(t *testing.T) {
			req := reflect.New(m.Type.In(1)).Elem()
			fill(req, 100)
			out := reflect.ValueOf(c).MethodByName(m.Name).Call([]reflect.Value{reflect.ValueOf(t.Context()), req})
			if err, _ := out[1].Interface().(error); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(f.asked, req.Interface()) {
				t.Errorf("asked %+v, arrived %+v", req.Interface(), f.asked)
			}
			want := reflect.New(m.Type.Out(0)).Elem()
			fill(want, 1)
			if !reflect.DeepEqual(out[0].Interface(), want.Interface()) {
				t.Errorf("answered %+v, arrived %+v", want.Interface(), out[0].Interface())
			}

			f.mu.Lock()
			f.fail = fmt.Errorf("down there: %w", problem.Newf(problem.NoSuchContact, "nobody is called %q", "bob"))
			f.mu.Unlock()
			out = reflect.ValueOf(c).MethodByName(m.Name).Call([]reflect.Value{reflect.ValueOf(t.Context()), req})
			err, _ := out[1].Interface().(error)
			if !errors.Is(err, problem.NoSuchContact) || problem.From(err).Exit != 1 || !strings.Contains(err.Error(), `nobody is called "bob"`) {
				t.Errorf("a problem arrived as %v", err)
			}
			f.mu.Lock()
			f.fail = nil
			f.mu.Unlock()
		})
	}
}

func TestEventsArriveInOrderFromReadyOn(t *testing.T) {
	f := &fake{events: make(chan Event, 100)}
	path, _ := serve(t, f)
	c := connect(t, path)
	for i := range 50 {
		f.events <- MessageEvent(someTime.Time, Message{ID: fmt.Sprint(i), Text: "line one\nline two\r\n\ndata: x", Time: someTime, Kind: "text"}, ChangeNew)
	}
	close(f.events) // as when the reader is too slow
	var got []Event
	err := c.Events(t.Context(), EventsRequest{}, func(e Event) error { got = append(got, e); return nil })
	if !errors.Is(err, problem.EventsLost) {
		t.Fatalf("the stream ended with %v", err)
	}
	if len(got) != 51 || got[0].Event != EventReady || got[0].Account != "me" {
		t.Fatalf("%d events, first %+v", len(got), got[0])
	}
	for i, e := range got[1:] {
		if e.ID != fmt.Sprint(i) || e.Text != "line one\nline two\r\n\ndata: x" {
			t.Fatalf("event %d is %+v", i, e)
		}
	}
}

func TestAReaderMayStopListening(t *testing.T) {
	f := &fake{events: make(chan Event)}
	path, _ := serve(t, f)
	c := connect(t, path)
	enough := errors.New("enough")
	if err := c.Events(t.Context(), EventsRequest{}, func(Event) error { return enough }); err != enough {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err := c.Events(ctx, EventsRequest{}, func(Event) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

// waiting is a Backend whose Send waits for ever.
type waiting struct {
	fake
	began chan struct{}
}

func (w *waiting) Send(ctx context.Context, _ SendRequest) (Sent, error) {
	close(w.began)
	<-ctx.Done()
	return Sent{}, ctx.Err()
}

func TestAWaitEndsWithTheNode(t *testing.T) {
	w := &waiting{began: make(chan struct{})}
	path, stop := serve(t, w)
	c := connect(t, path)
	go func() { <-w.began; stop() }()
	if _, err := c.Send(t.Context(), SendRequest{}); !errors.Is(err, problem.NodeStopped) {
		t.Fatal(err)
	}
}

func TestAWaitEndsWithTheClient(t *testing.T) {
	w := &waiting{began: make(chan struct{})}
	path, _ := serve(t, w)
	c := connect(t, path)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-w.began; cancel() }()
	if _, err := c.Send(ctx, SendRequest{}); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

func TestANodeThatStopsIsNamed(t *testing.T) {
	f := &fake{events: make(chan Event)}
	path, stop := serve(t, f)
	c := connect(t, path)
	err := c.Events(t.Context(), EventsRequest{}, func(Event) error { go stop(); return nil })
	if !errors.Is(err, problem.NodeStopped) {
		t.Fatalf("the stream ended with %v", err)
	}
	stop()
	if _, err := Dial(t.Context(), path); !errors.Is(err, ErrNoNode) {
		t.Fatalf("after the end: %v", err)
	}
	if runtime.GOOS != "windows" {
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket is still there: %v", err)
		}
	}
}

func TestNobodyListens(t *testing.T) {
	dir := t.TempDir()
	if _, err := Dial(t.Context(), filepath.Join(dir, "none.sock")); !errors.Is(err, ErrNoNode) {
		t.Fatal(err)
	}
}

func TestTheSocketIsTheOwnersAndReplacesADeadOnes(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("pipes have access lists and die with their process")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	dead, err := local.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	dead.(interface{ SetUnlinkOnClose(bool) }).SetUnlinkOnClose(false) // as kill -9 leaves it
	dead.Close()
	if _, err := Dial(t.Context(), path); !errors.Is(err, ErrNoNode) {
		t.Fatalf("a dead node's socket: %v", err)
	}
	s, err := Listen(path, &fake{}, "v")
	if err != nil {
		t.Fatal(err)
	}
	defer s.listener.Close()
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v", info.Mode(), err)
	}
}

func TestASilentNodeIsNamed(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the same code, over a pipe")
	}
	l, err := local.Listen(filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, problem.New(problem.NodeSilent, nil))
	defer cancel()
	if _, err := Dial(ctx, l.Addr().String()); !errors.Is(err, problem.NodeSilent) {
		t.Fatal(err)
	}
}

// post gives raw bytes to the server's handler.
func post(t testing.TB, h http.Handler, path string, body io.Reader) (int, []byte) {
	t.Helper()
	srv := httptest.NewServer(h)
	defer srv.Close()
	resp, err := srv.Client().Post(srv.URL+path, "application/json", body)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, answer
}

func TestWhatIsNotUnderstoodIsRefused(t *testing.T) {
	h := (&Server{backend: &fake{}, version: "v", waits: usual}).handler()
	for _, c := range []struct{ path, body string }{
		{"/v1/send", `{"contact":"bob","txt":"hi"}`},
		{"/v1/send", `{"contact":"bob"} {}`},
		{"/v1/send", `{"contact":`},
		{"/v1/send", ``},
		{"/v1/send", `[]`},
		{"/v1/send", `{"contact":"bob","timeout":"-1s"}`},
		{"/v1/send", `{"contact":"` + strings.Repeat("b", maxBody) + `"}`},
		{"/v1/sned", `{}`},
		{"/v2/send", `{}`},
		{"/", `{}`},
	} {
		status, body := post(t, h, c.path, strings.NewReader(c.body))
		var f struct {
			Schema int
			Failure
		}
		if err := json.Unmarshal(body, &f); err != nil || f.Schema != 1 || status != 400 || f.Error.Code != problem.BadRequest {
			t.Errorf("%s %.40s: %d %s %v", c.path, c.body, status, body, err)
		}
	}
}

func TestACodeFromANewerNodeKeepsItsWords(t *testing.T) {
	err := Failure{FailureBody{Code: "NEW-42", Exit: 75, What: "The moon is full", Detail: "tonight"}}.Problem()
	if p := problem.From(err); p.Code != "NEW-42" || p.Exit != 75 || !strings.Contains(err.Error(), "The moon is full") {
		t.Fatal(err)
	}
	if p := problem.From(Failure{FailureBody{Code: "NEW-43"}}.Problem()); p.Exit == 0 {
		t.Fatal("a failure must not exit 0")
	}
}

func TestStatesAreOrdered(t *testing.T) {
	order := []State{Queued, Kept, Delivered, Read}
	for i, s := range order {
		for j, want := range order {
			if s.Meets(want) != (i >= j) {
				t.Errorf("%s meets %s: %v", s, want, s.Meets(want))
			}
		}
		if Failed.Meets(s) || !s.Valid() {
			t.Errorf("failed meets %s", s)
		}
	}
	if Failed.Valid() || State("sent").Valid() || State("sent").Meets(Queued) {
		t.Error("only known states are waited for")
	}
}

// What somebody says cannot steer the terminal that JSON is printed on, nor turn its
// direction, and reads the same afterwards.
func TestEncodeSteersNoTerminal(t *testing.T) {
	said := "\x1b[2J \u009b2J \x7f \u202e \u2066 \\\u0085 \" ü 🐦"
	line, err := Encode(Message{ID: "1", Time: someTime, Text: said})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range string(line) {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			t.Errorf("%U is printed as it is", r)
		}
	}
	var back Message
	if err := json.Unmarshal(line, &back); err != nil || back.Text != said {
		t.Errorf("%q comes back as %q, %v", said, back.Text, err)
	}
	if !strings.Contains(string(line), "ü 🐦") {
		t.Errorf("letters are escaped: %s", line)
	}
}

func TestEncodeWritesTheSchemaFirstAndNeverNull(t *testing.T) {
	for _, v := range []any{
		Status{}, Invitation{}, Contact{}, Accepted{}, Sent{}, Message{}, Event{}, Relay{Addrs: []string{}}, Phrase{}, SafetyNumber{}, Account{},
		StatusRequest{}, list[Contact]{Items: []Contact{}}, NewFailure(problem.New(problem.Usage, nil)),
	} {
		line, err := Encode(v)
		if err != nil || !bytes.HasPrefix(line, []byte(`{"schema":1`)) || !json.Valid(line) || bytes.Contains(line, []byte("null")) {
			t.Errorf("%T: %s %v", v, line, err)
		}
	}
	line, err := Encode(Message{ID: "1", Time: someTime, Text: "<&>"})
	if err != nil || !bytes.Contains(line, []byte(`"time":"2026-03-04T05:06:07.089Z"`)) || !bytes.Contains(line, []byte(`"text":"<&>"`)) {
		t.Errorf("%s %v", line, err)
	}
	if _, err := Encode([]int{1}); err == nil {
		t.Error("a list has no room for the schema")
	}
}

// FuzzRequest gives any bytes to every endpoint: an answer with a schema, or a
// refusal, and never a crash.
func FuzzRequest(f *testing.F) {
	paths := []string{"status", "invite", "invites", "invite/revoke", "accept", "contacts", "contact/rename", "contact/block", "contact/unblock",
		"contact/remove", "verify", "send", "messages", "messages/trail", "relay/add", "relay/remove", "relay/list", "phrase", "lock", "unlock", "network/test"}
	for i := range paths {
		f.Add(byte(i), []byte(`{"contact":"bob","text":"hi","expires":"1h","timeout":"3s"}`))
		f.Add(byte(i), []byte(`{}`))
	}
	f.Add(byte(11), []byte(`{"timeout":"9223372036854775808ns"}`))
	f.Add(byte(11), []byte(strings.Repeat(`{"contact":`, 10001)))
	h := (&Server{backend: &fake{}, version: "v", waits: usual}).handler()
	f.Fuzz(func(t *testing.T, which byte, body []byte) {
		req := httptest.NewRequest("POST", "/v1/"+paths[int(which)%len(paths)], bytes.NewReader(body))
		w := &deadlines{httptest.NewRecorder()}
		h.ServeHTTP(w, req)
		if b := w.Body.Bytes(); !json.Valid(b) || !bytes.HasPrefix(b, []byte(`{"schema":1`)) {
			t.Fatalf("%d %q", w.Code, b)
		}
	})
}

// deadlines lets a recorder take deadlines, as a connection does.
type deadlines struct{ *httptest.ResponseRecorder }

func (deadlines) SetReadDeadline(time.Time) error  { return nil }
func (deadlines) SetWriteDeadline(time.Time) error { return nil }
