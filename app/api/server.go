package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"golang.org/x/net/netutil"

	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/p2p/local"
)

// Bounds of the server.
const (
	maxBody      = 1 << 20         // bytes of a request's JSON
	idleTime     = 2 * time.Minute // between requests; a Client lets go sooner
	shutdownTime = 2 * time.Second // for requests that are under way when the server ends

	// Programs of one person are few; one of them may have lost its mind. Who comes when maxConns have a connection
	// waits for one to end. A quarter of them may be streams of events, which end by themselves never.
	maxConns, maxStreams = 512, 128
	// Of what is large few may be on the way at a time, in either direction: requests of more than largeBody, and answers
	// of more than largeAnswer, which no socket takes at once from a server that wants to go on.
	largeBody, largeAnswer, maxLarge = 16 << 10, 256 << 10, 64 // bytes, bytes
)

// patience is how long a Server waits for a program.
type patience struct {
	head  time.Duration // for a request's head
	whole time.Duration // for a request
	taken time.Duration // for one event or answer to leave, or a client is too slow
}

var usual = patience{head: 5 * time.Second, whole: 10 * time.Second, taken: 30 * time.Second}

// Version is what GET /v1/version answers.
type Version struct {
	Version string `json:"version"` // of the program
	PID     int    `json:"pid"`
}

// Server answers the local API for one Backend. Make it with Listen.
type Server struct {
	backend  Backend // nil: only the window can be shown
	show     func(context.Context, ShowWindowRequest) (Shown, error)
	version  string
	listener net.Listener
	waits    patience
}

// Listen opens the local API at a unix socket's path, or a pipe's name on
// Windows, for the owner only. The caller holds the profile's lock, so a socket
// that is there already is left over from a process that died.
func Listen(path string, b Backend, version string) (*Server, error) {
	l, err := local.Listen(path)
	if err != nil {
		return nil, problem.Newf(problem.CannotMakeDir, "local API: %w", err)
	}
	return &Server{backend: b, show: b.ShowWindow, version: version, listener: l, waits: usual}, nil
}

// ListenWindow opens the part of the API that shows a window, for one that has no account
// open yet.
func ListenWindow(path string, show func(context.Context, ShowWindowRequest) (Shown, error), version string) (*Server, error) {
	l, err := local.Listen(path)
	if err != nil {
		return nil, problem.Newf(problem.CannotMakeDir, "window: %w", err)
	}
	return &Server{show: show, version: version, listener: l, waits: usual}, nil
}

// Run answers until the context ends, then gives requests under way a moment,
// and removes the socket.
func (s *Server) Run(ctx context.Context) error {
	requests, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)
	srv := &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: s.waits.head,
		ReadTimeout:       s.waits.whole,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    16 << 10,
		BaseContext:       func(net.Listener) context.Context { return requests },
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(netutil.LimitListener(s.listener, maxConns)) }()
	select {
	case err := <-ended:
		return fmt.Errorf("local API: %w", err)
	case <-ctx.Done():
	}
	stop(problem.New(problem.NodeStopped, nil)) // ends event streams and waits
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	if err := srv.Shutdown(grace); err != nil {
		err = srv.Close()
		<-ended
		return err
	}
	<-ended
	return nil
}

// handler is the table of endpoints: SPEC.md in code.
func (s *Server) handler() http.Handler {
	b, mux := s.backend, table{http.NewServeMux(), make(slots, maxLarge), s.waits.taken}
	mux.HandleFunc("GET /v1/version", func(w http.ResponseWriter, r *http.Request) {
		reply(w, http.StatusOK, Version{Version: s.version, PID: os.Getpid()})
	})
	one(mux, "window/show", s.show)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, problem.Newf(problem.BadRequest, "there is no %s %s", r.Method, r.URL.Path))
	})
	if b == nil {
		return mux
	}
	streams := make(slots, maxStreams)
	mux.HandleFunc("GET /v1/events", func(w http.ResponseWriter, r *http.Request) {
		if !streams.take() {
			refuse(w, problem.New(problem.NodeBusy, nil))
			return
		}
		defer streams.free()
		s.events(w, r)
	})
	one(mux, "status", b.Status)
	one(mux, "invite", b.Invite)
	many(mux, "invites", b.Invites)
	one(mux, "invite/revoke", b.RevokeInvite)
	one(mux, "accept", b.Accept)
	many(mux, "requests", b.Requests)
	one(mux, "request/accept", b.AcceptRequest)
	one(mux, "request/ignore", b.IgnoreRequest)
	one(mux, "request/block", b.BlockRequest)
	many(mux, "contacts", b.Contacts)
	one(mux, "contact/rename", b.RenameContact)
	one(mux, "contact/block", b.BlockContact)
	one(mux, "contact/unblock", b.UnblockContact)
	one(mux, "contact/remove", b.RemoveContact)
	one(mux, "verify", b.Verify)
	one(mux, "send", b.Send)
	one(mux, "react", b.React)
	one(mux, "edit", b.Edit)
	one(mux, "delete", b.Delete)
	one(mux, "forward", b.Forward)
	one(mux, "introduce", b.Introduce)
	one(mux, "introduction/accept", b.AcceptIntroduction)
	one(mux, "timer", b.SetTimer)
	one(mux, "typing", b.Typing)
	one(mux, "settings", b.Settings)
	one(mux, "settings/set", b.SetSettings)
	many(mux, "messages", b.Messages)
	many(mux, "messages/trail", b.Trail)
	many(mux, "messages/marked", b.Marked)
	one(mux, "message/star", b.Star)
	one(mux, "message/pin", b.PinMessage)
	many(mux, "conversations", b.Conversations)
	one(mux, "conversation/set", b.SetConversation)
	one(mux, "conversation/read", b.MarkRead)
	one(mux, "echo", b.AddEcho)
	one(mux, "search", b.Search)
	one(mux, "relay/add", b.AddRelay)
	one(mux, "relay/remove", b.RemoveRelay)
	many(mux, "relay/list", b.Relays)
	one(mux, "relay/friends", b.FriendsRelay)
	one(mux, "relay/friends/set", b.SetFriendsRelay)
	one(mux, "network/test", b.TestNetwork)
	one(mux, "phrase", b.Phrase)
	one(mux, "lock", b.Lock)
	one(mux, "unlock", b.Unlock)
	return mux
}

// table is where the endpoints stand.
type table struct {
	*http.ServeMux
	large slots
	taken time.Duration // of patience
}

// begin gives an answer its time. The error is that the connection is gone.
func (t table) begin(w http.ResponseWriter) error {
	return http.NewResponseController(w).SetWriteDeadline(time.Now().Add(t.taken))
}

// ServeHTTP implements http.Handler.
func (t table) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if t.begin(w) == nil {
		t.ServeMux.ServeHTTP(w, r)
	}
}

// slots is room for as many as its capacity.
type slots chan struct{}

func (s slots) take() bool {
	select {
	case s <- struct{}{}:
		return true
	default:
		return false
	}
}

func (s slots) free() { <-s }

// one serves a method that answers one value.
func one[Req, Resp any](mux table, name string, method func(context.Context, Req) (Resp, error)) {
	mux.HandleFunc("POST /v1/"+name, func(w http.ResponseWriter, r *http.Request) {
		var req Req
		if err := mux.read(w, r, &req); err != nil {
			refuse(w, err)
			return
		}
		resp, err := method(r.Context(), req)
		if mux.begin(w) != nil { // anew: it may have taken long
			return
		}
		if err != nil {
			if errors.Is(err, context.Canceled) {
				err = context.Cause(r.Context()) // the client is gone, or the server ends
			}
			refuse(w, err)
			return
		}
		mux.answer(w, resp)
	})
}

// list is how several values travel.
type list[T any] struct {
	Items []T `json:"items"`
}

// many serves a method that answers a list.
func many[Req, T any](mux table, name string, method func(context.Context, Req) ([]T, error)) {
	one(mux, name, func(ctx context.Context, req Req) (list[T], error) {
		items, err := method(ctx, req)
		if items == nil {
			items = []T{} // an empty list, never null
		}
		return list[T]{items}, err
	})
}

func (t table) read(w http.ResponseWriter, r *http.Request, into any) error {
	if r.ContentLength < 0 || r.ContentLength > largeBody {
		if !t.large.take() {
			return problem.New(problem.NodeBusy, nil)
		}
		defer t.large.free()
	}
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return problem.Newf(problem.BadRequest, "%s: %w", r.URL.Path, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return problem.Newf(problem.BadRequest, "%s: more than one JSON value", r.URL.Path)
	}
	return awaitEnd(w)
}

// awaitEnd says that a request is whole. From here a read is how the server notices that the
// client went away, however long the answer takes.
func awaitEnd(w http.ResponseWriter) error {
	if err := http.NewResponseController(w).SetReadDeadline(time.Time{}); err != nil {
		return problem.New(problem.BadRequest, err)
	}
	return nil
}

// answer is reply of what may be large.
func (t table) answer(w http.ResponseWriter, v any) {
	line, err := Encode(v)
	if err != nil {
		refuse(w, err)
		return
	}
	if len(line) > largeAnswer {
		if !t.large.take() {
			refuse(w, problem.New(problem.NodeBusy, nil))
			return
		}
		defer t.large.free()
	}
	write(w, http.StatusOK, line)
}

func reply(w http.ResponseWriter, status int, v any) {
	line, err := Encode(v)
	if err != nil {
		refuse(w, err)
		return
	}
	write(w, status, line)
}

func write(w http.ResponseWriter, status int, line []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(line, '\n')) // a client that went away is not told
}

// Failure is how a problem travels, and how the command line prints it with
// --json: {"schema":1,"error":{...}}.
type Failure struct {
	Error FailureBody `json:"error"`
}

// FailureBody is what a Failure says.
type FailureBody struct {
	Code   problem.Code `json:"code"`
	Exit   int          `json:"exit"`
	What   string       `json:"what"`
	Means  string       `json:"means"`
	Do     string       `json:"do"`
	Detail string       `json:"detail,omitempty"`
}

// NewFailure is an error as it travels.
func NewFailure(err error) Failure {
	p := problem.From(err)
	return Failure{FailureBody{Code: p.Code, Exit: p.Exit, What: p.What, Means: p.Means, Do: p.Do, Detail: p.Detail()}}
}

// Problem is the error that NewFailure was given, as far as it travels. A code
// that this version does not know keeps the words it came with.
func (f Failure) Problem() error {
	e := &problem.Error{Problem: problem.Problem{Code: f.Error.Code, Exit: f.Error.Exit, What: f.Error.What, Means: f.Error.Means, Do: f.Error.Do}}
	if known, ok := problem.Lookup(f.Error.Code); ok {
		e.Problem = known
	}
	if e.Exit <= 0 {
		e.Exit = problem.ExitFailed
	}
	if f.Error.Detail != "" {
		e.Cause = errors.New(f.Error.Detail)
	}
	return e
}

func refuse(w http.ResponseWriter, err error) {
	f := NewFailure(err)
	status := http.StatusInternalServerError
	switch f.Error.Exit {
	case problem.ExitFailed:
		status = http.StatusUnprocessableEntity
	case problem.ExitUsage:
		status = http.StatusBadRequest
	case problem.ExitPermission:
		status = http.StatusForbidden
	case problem.ExitUnavailable, problem.ExitTryAgain:
		status = http.StatusServiceUnavailable
	}
	reply(w, status, f)
}

// events serves the stream of events as server-sent events (WHATWG HTML, 9.2):
// each has the kind as its event field and one line of JSON as its data. A
// stream that cannot go on ends with an event `problem`.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 {
		refuse(w, problem.Newf(problem.BadRequest, "%s: it has a body", r.URL.Path))
		return
	}
	if err := awaitEnd(w); err != nil {
		refuse(w, err)
		return
	}
	rc := http.NewResponseController(w)
	send := func(kind string, v any) error {
		line, err := Encode(v)
		if err != nil {
			return err
		}
		if err := rc.SetWriteDeadline(time.Now().Add(s.waits.taken)); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "event: %s\ndata: %s\n\n", kind, line); err != nil {
			return err
		}
		return rc.Flush()
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	err := s.backend.Events(r.Context(), EventsRequest{}, func(e Event) error { return send(e.Event, e) })
	if err != nil && r.Context().Err() == nil {
		_ = send("problem", NewFailure(err)) // the client may be what went wrong
	}
}
