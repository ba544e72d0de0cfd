package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/p2p/local"
)

// ErrNoNode says that nothing listens at a profile's socket: no node runs.
var ErrNoNode = errors.New("api: no node runs on this profile")

// Bounds of the client.
const (
	greetTime = 5 * time.Second // for a node to say its version
	maxAnswer = 64 << 20        // bytes of one answer; pages of messages are made to fit
	maxEvent  = 1 << 20         // bytes of one event's line
)

// Client is a Backend at the other end of a socket. It is safe for concurrent
// use.
type Client struct {
	http *http.Client
	node Version
}

// Dial finds the node of a profile. It returns ErrNoNode where none runs,
// problem.NodeSilent where one does not answer, problem.APIVersion where
// one speaks another version, and problem.NotPermitted where another user listens.
func Dial(ctx context.Context, path string) (*Client, error) {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn, err := local.Dial(ctx, path)
			if errors.Is(err, local.ErrNobody) {
				return nil, ErrNoNode
			}
			return conn, err
		},
		DisableCompression:  true,
		MaxIdleConnsPerHost: 256,
		IdleConnTimeout:     idleTime / 2,
	}
	c := &Client{http: &http.Client{Transport: transport}}
	ctx, cancel := context.WithTimeoutCause(ctx, greetTime, problem.New(problem.NodeSilent, nil))
	defer cancel()
	if err := c.roundTrip(ctx, http.MethodGet, "version", nil, &c.node); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Node is who answers.
func (c *Client) Node() Version { return c.node }

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// do sends a request and leaves the answer's body to be read.
func (c *Client) do(ctx context.Context, method, name string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://godwit/v1/"+name, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, lost(ctx, err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	var f Failure
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxBody)).Decode(&f); err != nil || f.Error.Code == "" {
		return nil, problem.Newf(problem.APIVersion, "the node answered %s: %s", name, resp.Status)
	}
	return nil, f.Problem()
}

func (c *Client) roundTrip(ctx context.Context, method, name string, body []byte, into any) error {
	resp, err := c.do(ctx, method, name, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(into); err != nil {
		if ctx.Err() != nil || errors.Is(err, io.ErrUnexpectedEOF) {
			return lost(ctx, err)
		}
		return problem.Newf(problem.APIVersion, "the node's answer to %s: %w", name, err)
	}
	return nil
}

// lost names an exchange that broke off: the caller's own end first, then a
// node that is not there, then one that went away.
func lost(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	switch {
	case errors.Is(err, ErrNoNode):
		return ErrNoNode
	case errors.Is(err, local.ErrOther):
		return problem.New(problem.NotPermitted, err)
	}
	return problem.New(problem.NodeStopped, err)
}

// call is a method that answers one value.
func call[Resp any](ctx context.Context, c *Client, name string, req any) (resp Resp, err error) {
	body, err := json.Marshal(req)
	if err != nil {
		return resp, fmt.Errorf("api: %w", err)
	}
	err = c.roundTrip(ctx, http.MethodPost, name, body, &resp)
	return resp, err
}

// calls is a method that answers a list.
func calls[T any](ctx context.Context, c *Client, name string, req any) ([]T, error) {
	l, err := call[list[T]](ctx, c, name, req)
	return l.Items, err
}

// Status is Backend's.
func (c *Client) Status(ctx context.Context, r StatusRequest) (Status, error) {
	return call[Status](ctx, c, "status", r)
}

// Invite is Backend's.
func (c *Client) Invite(ctx context.Context, r InviteRequest) (Invitation, error) {
	return call[Invitation](ctx, c, "invite", r)
}

// Invites is Backend's.
func (c *Client) Invites(ctx context.Context, r InvitesRequest) ([]Invitation, error) {
	return calls[Invitation](ctx, c, "invites", r)
}

// RevokeInvite is Backend's.
func (c *Client) RevokeInvite(ctx context.Context, r InvitationRequest) (Invitation, error) {
	return call[Invitation](ctx, c, "invite/revoke", r)
}

// Accept is Backend's.
func (c *Client) Accept(ctx context.Context, r AcceptRequest) (Accepted, error) {
	return call[Accepted](ctx, c, "accept", r)
}

// Requests is Backend's.
func (c *Client) Requests(ctx context.Context, r RequestsRequest) ([]Request, error) {
	return calls[Request](ctx, c, "requests", r)
}

// AcceptRequest is Backend's.
func (c *Client) AcceptRequest(ctx context.Context, r DecideRequest) (Contact, error) {
	return call[Contact](ctx, c, "request/accept", r)
}

// IgnoreRequest is Backend's.
func (c *Client) IgnoreRequest(ctx context.Context, r DecideRequest) (Decided, error) {
	return call[Decided](ctx, c, "request/ignore", r)
}

// BlockRequest is Backend's.
func (c *Client) BlockRequest(ctx context.Context, r DecideRequest) (Contact, error) {
	return call[Contact](ctx, c, "request/block", r)
}

// Contacts is Backend's.
func (c *Client) Contacts(ctx context.Context, r ContactsRequest) ([]Contact, error) {
	return calls[Contact](ctx, c, "contacts", r)
}

// RenameContact is Backend's.
func (c *Client) RenameContact(ctx context.Context, r RenameRequest) (Contact, error) {
	return call[Contact](ctx, c, "contact/rename", r)
}

// BlockContact is Backend's.
func (c *Client) BlockContact(ctx context.Context, r ContactRequest) (Contact, error) {
	return call[Contact](ctx, c, "contact/block", r)
}

// UnblockContact is Backend's.
func (c *Client) UnblockContact(ctx context.Context, r ContactRequest) (Contact, error) {
	return call[Contact](ctx, c, "contact/unblock", r)
}

// RemoveContact is Backend's.
func (c *Client) RemoveContact(ctx context.Context, r ContactRequest) (Contact, error) {
	return call[Contact](ctx, c, "contact/remove", r)
}

// Verify is Backend's.
func (c *Client) Verify(ctx context.Context, r VerifyRequest) (SafetyNumber, error) {
	return call[SafetyNumber](ctx, c, "verify", r)
}

// Send is Backend's.
func (c *Client) Send(ctx context.Context, r SendRequest) (Sent, error) {
	return call[Sent](ctx, c, "send", r)
}

// React is Backend's.
func (c *Client) React(ctx context.Context, r ReactRequest) (Sent, error) {
	return call[Sent](ctx, c, "react", r)
}

// Edit is Backend's.
func (c *Client) Edit(ctx context.Context, r EditRequest) (Sent, error) {
	return call[Sent](ctx, c, "edit", r)
}

// Delete is Backend's.
func (c *Client) Delete(ctx context.Context, r DeleteRequest) (Sent, error) {
	return call[Sent](ctx, c, "delete", r)
}

// Forward is Backend's.
func (c *Client) Forward(ctx context.Context, r ForwardRequest) (Sent, error) {
	return call[Sent](ctx, c, "forward", r)
}

// Introduce is Backend's.
func (c *Client) Introduce(ctx context.Context, r IntroduceRequest) (Sent, error) {
	return call[Sent](ctx, c, "introduce", r)
}

// AcceptIntroduction is Backend's.
func (c *Client) AcceptIntroduction(ctx context.Context, r AcceptIntroductionRequest) (Accepted, error) {
	return call[Accepted](ctx, c, "introduction/accept", r)
}

// SetTimer is Backend's.
func (c *Client) SetTimer(ctx context.Context, r SetTimerRequest) (Sent, error) {
	return call[Sent](ctx, c, "timer", r)
}

// Typing is Backend's.
func (c *Client) Typing(ctx context.Context, r TypingRequest) (Typed, error) {
	return call[Typed](ctx, c, "typing", r)
}

// Settings is Backend's.
func (c *Client) Settings(ctx context.Context, r SettingsRequest) (Settings, error) {
	return call[Settings](ctx, c, "settings", r)
}

// SetSettings is Backend's.
func (c *Client) SetSettings(ctx context.Context, r SetSettingsRequest) (Settings, error) {
	return call[Settings](ctx, c, "settings/set", r)
}

// Messages is Backend's.
func (c *Client) Messages(ctx context.Context, r MessagesRequest) ([]Message, error) {
	return calls[Message](ctx, c, "messages", r)
}

// Trail is Backend's.
func (c *Client) Trail(ctx context.Context, r TrailRequest) ([]Step, error) {
	return calls[Step](ctx, c, "messages/trail", r)
}

// Conversations is Backend's.
func (c *Client) Conversations(ctx context.Context, r ConversationsRequest) ([]Conversation, error) {
	return calls[Conversation](ctx, c, "conversations", r)
}

// SetConversation is Backend's.
func (c *Client) SetConversation(ctx context.Context, r SetConversationRequest) (Conversation, error) {
	return call[Conversation](ctx, c, "conversation/set", r)
}

// MarkRead is Backend's.
func (c *Client) MarkRead(ctx context.Context, r MarkReadRequest) (Conversation, error) {
	return call[Conversation](ctx, c, "conversation/read", r)
}

// Star is Backend's.
func (c *Client) Star(ctx context.Context, r StarRequest) (Message, error) {
	return call[Message](ctx, c, "message/star", r)
}

// PinMessage is Backend's.
func (c *Client) PinMessage(ctx context.Context, r PinMessageRequest) (Message, error) {
	return call[Message](ctx, c, "message/pin", r)
}

// Marked is Backend's.
func (c *Client) Marked(ctx context.Context, r MarkedRequest) ([]Message, error) {
	return calls[Message](ctx, c, "messages/marked", r)
}

// AddEcho is Backend's.
func (c *Client) AddEcho(ctx context.Context, r AddEchoRequest) (Conversation, error) {
	return call[Conversation](ctx, c, "echo", r)
}

// Search is Backend's.
func (c *Client) Search(ctx context.Context, r SearchRequest) (Found, error) {
	return call[Found](ctx, c, "search", r)
}

// AddRelay is Backend's.
func (c *Client) AddRelay(ctx context.Context, r AddRelayRequest) (Relay, error) {
	return call[Relay](ctx, c, "relay/add", r)
}

// RemoveRelay is Backend's.
func (c *Client) RemoveRelay(ctx context.Context, r RelayRequest) (Relay, error) {
	return call[Relay](ctx, c, "relay/remove", r)
}

// FriendsRelay is Backend's.
func (c *Client) FriendsRelay(ctx context.Context, r FriendsRelayRequest) (FriendsRelay, error) {
	return call[FriendsRelay](ctx, c, "relay/friends", r)
}

// SetFriendsRelay is Backend's.
func (c *Client) SetFriendsRelay(ctx context.Context, r SetFriendsRelayRequest) (FriendsRelay, error) {
	return call[FriendsRelay](ctx, c, "relay/friends/set", r)
}

// Relays is Backend's.
func (c *Client) Relays(ctx context.Context, r RelaysRequest) ([]Relay, error) {
	return calls[Relay](ctx, c, "relay/list", r)
}

// TestNetwork is Backend's.
func (c *Client) TestNetwork(ctx context.Context, r TestNetworkRequest) (NetworkTest, error) {
	return call[NetworkTest](ctx, c, "network/test", r)
}

// Phrase is Backend's.
func (c *Client) Phrase(ctx context.Context, r PhraseRequest) (Phrase, error) {
	return call[Phrase](ctx, c, "phrase", r)
}

// Lock is Backend's.
func (c *Client) Lock(ctx context.Context, r LockRequest) (Protection, error) {
	return call[Protection](ctx, c, "lock", r)
}

// Unlock is Backend's.
func (c *Client) Unlock(ctx context.Context, r UnlockRequest) (Protection, error) {
	return call[Protection](ctx, c, "unlock", r)
}

// ShowWindow is Backend's.
func (c *Client) ShowWindow(ctx context.Context, r ShowWindowRequest) (Shown, error) {
	return call[Shown](ctx, c, "window/show", r)
}

// Events is Backend's. It ends with problem.NodeStopped when the node does.
func (c *Client) Events(ctx context.Context, _ EventsRequest, each func(Event) error) error {
	resp, err := c.do(ctx, http.MethodGet, "events", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxEvent)
	kind := ""
	for lines.Scan() {
		field, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "event":
			kind = value
		case "data":
			if kind == "problem" {
				var f Failure
				if err := json.Unmarshal([]byte(value), &f); err != nil {
					return problem.New(problem.APIVersion, err)
				}
				return f.Problem()
			}
			var e Event
			if err := json.Unmarshal([]byte(value), &e); err != nil {
				return problem.New(problem.APIVersion, err)
			}
			if err := each(e); err != nil {
				return err
			}
		}
	}
	return lost(ctx, lines.Err())
}
