package apptest_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/apptest"
	"github.com/godwit-im/godwit/app/problem"
)

// Anna has put an address on her page and is away. Mia, a stranger, does the work that real relays
// ask for, and leaves her words at two of three, for one is lost; Anna decides when she is back, and
// they are contacts like others.
func TestAStranger(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := apptest.New(t)
	oak, elm := w.Relay("oak"), w.Relay("elm")
	w.Relay("ash")
	anna, mia := w.Person("anna", "oak", "elm", "ash"), w.Person("mia", "ash")
	card, err := anna.Invite(ctx, api.InviteRequest{Reusable: true})
	if err != nil || card.Kind != "reusable" || card.Relays != 3 || card.Notice != "" {
		t.Fatalf("the address is %+v, %v", card, err)
	}
	id := account(t, mia)
	anna.Leaves()
	oak.Stops()
	asked, err := mia.Accept(ctx, api.AcceptRequest{Link: card.Link, Name: "anna", Message: "I read your page"})
	if err != nil || !asked.Asked {
		t.Fatalf("accepted is %+v, %v", asked, err)
	}
	var said api.Message
	mia.Awaits("her words to be left", func(ctx context.Context) bool {
		list, err := mia.Messages(ctx, api.MessagesRequest{Contact: "anna"})
		if err != nil || len(list) != 1 || list[0].Relays == nil {
			return false
		}
		said = list[0]
		return said.Relays.Left == 2
	})
	if said.State != api.Queued || said.Relays.Kept != 0 || !strings.Contains(said.Reason, string(problem.MayBeDisplaced)) {
		t.Errorf("what a stranger left is %s, kept at %d: %q", said.State, said.Relays.Kept, said.Reason)
	}
	steps, err := mia.Trail(ctx, api.TrailRequest{ID: said.ID})
	if err != nil {
		t.Fatal(err)
	}
	left := 0
	for _, s := range steps {
		if s.What == api.StepDeposited || s.What == api.StepLeft && s.Proof != api.ProofGood {
			t.Errorf("a step of the trail is %+v", s)
		}
		if s.What == api.StepLeft {
			left++
		}
	}
	if left != 2 {
		t.Errorf("the trail has %d deposits", left)
	}
	mia.Leaves()
	elm.LosesDisk()

	anna.Returns()
	anna.Awaits("a request", func(ctx context.Context) bool {
		list, err := anna.Requests(ctx, api.RequestsRequest{})
		return err == nil && len(list) == 1 && list[0].Name == "mia" && list[0].Text == "I read your page" && list[0].Invitation == card.ID
	})
	if names := anna.Knows(); len(names) != 0 {
		t.Errorf("Anna knows %q before she decides", names)
	}
	anna.Leaves()
	anna.Returns()
	if _, err := anna.AcceptRequest(ctx, api.DecideRequest{ID: id[:6]}); err != nil {
		t.Fatal(err)
	}
	anna.Reads(mia, "I read your page")
	mia.Returns()
	mia.Sees(anna, said.ID, api.Delivered)
	mia.Sees(anna, mia.Says(anna, "thank you"), api.Delivered)
	anna.Sees(mia, anna.Says(mia, "not at all"), api.Delivered)
	anna.Reads(mia, "I read your page", "thank you")

	oak.Starts()
	if _, err := anna.RevokeInvite(ctx, api.InvitationRequest{ID: card.ID}); err != nil {
		t.Fatal(err)
	}
	ends(t, anna, "revoked")
	if err := w.Person("tom").Accepts(card.Link, "", ""); !errors.Is(err, problem.InvitationGone) && !errors.Is(err, problem.InvitationUnreachable) {
		t.Errorf("a revoked address is accepted: %v", err)
	}
}

// account is a person's account id.
func account(t *testing.T, p *apptest.Person) string {
	t.Helper()
	s, err := p.Status(context.Background(), api.StatusRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return s.Account
}
