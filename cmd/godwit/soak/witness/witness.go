package witness

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// SpeakUp is how long, in seconds, a message may be queued, or kept at fewer relays than
// there should be, without a reason for it: until then it is being tried.
const SpeakUp = 60

// The rules. A Finding names the one that was broken.
const (
	Lost      = "lost"       // what was shown as taken, kept or delivered is not there
	Twice     = "twice"      // it came, or was announced, more than once
	Disorder  = "disorder"   // not in the order in which it was said
	Invented  = "invented"   // nobody said it
	Backward  = "backward"   // a state that was less than one before it
	Untrue    = "untrue"     // a state that was not so when it was shown
	Unproven  = "unproven"   // a state with no receipt behind it
	Unsaid    = "unsaid"     // no reason where there has to be one
	Unsettled = "unsettled"  // in a calm, and yet neither delivered nor failed
	Garbled   = "not a word" // what was shown cannot be read
)

// Finding is something that must not be.
type Finding struct {
	T    float64 // when it showed
	Rule string
	Who  string // to whom
	Why  string
}

func (f Finding) String() string { return fmt.Sprintf("%.3f %s: %s: %s", f.T, f.Who, f.Rule, f.Why) }

// Count says what the verdict rests on.
type Count struct {
	Said, Taken, Cut       int // messages that people said; that the program took; of which nobody knows
	Kept, Delivered        int // messages that were ever shown as such
	Claims                 int // states that were shown
	Disks, Reads, Trails   int
	OnDisk, Alone, Expired int // claims compared with the disk of a dead program; messages that only relays could bring; that failed
}

// Judge tells what is wrong with a transcript.
func Judge(lines []Line) ([]Finding, Count) {
	j := &judge{
		lines: lines, account: map[string]string{}, name: map[string]string{}, honest: map[string]bool{}, wiped: map[string][]float64{},
		byID: map[string]*said{}, byText: map[string]*said{}, announced: map[[2]string]bool{}, order: map[[2]string][]*said{}, proof: map[string][]proof{},
	}
	for i := range lines {
		j.hear(&lines[i])
	}
	j.putInOrder()
	for i := range lines {
		j.look(&lines[i])
	}
	for _, m := range j.all {
		j.weigh(m)
	}
	slices.SortStableFunc(j.findings, func(a, b Finding) int {
		switch {
		case a.T < b.T:
			return -1
		case a.T > b.T:
			return 1
		}
		return 0
	})
	return j.findings, j.count
}

// said is a message of somebody, and all that was ever shown of it.
type said struct {
	id, text, by, to string
	begun, ended     float64 // of the saying
	taken            bool    // the program said that it has it
	claims           []claim
}

// claim is a state that was shown to the author.
type claim struct {
	t   float64
	run int // of the program that showed it by itself; 0: it was asked
	message
}

// reached says whether the message had been shown as that far at a time.
func (m *said) reached(state string, by float64) bool {
	return slices.ContainsFunc(m.claims, func(c claim) bool { return c.t <= by && rank(c.State) >= rank(state) })
}

func (m *said) failed(by float64) bool {
	return slices.ContainsFunc(m.claims, func(c claim) bool { return c.t <= by && c.State == "failed" })
}

// proof is what a trail told at a time.
type proof struct {
	t     float64
	steps []step
}

// deposits are the relays that are proven to have promised to keep it.
func (p proof) deposits() (relays []string) {
	for _, s := range p.steps {
		if s.What == "deposited" && s.Proof == "good" && !slices.Contains(relays, s.Peer) {
			relays = append(relays, s.Peer)
		}
	}
	return relays
}

type judge struct {
	lines         []Line
	account, name map[string]string // by each other
	honest        map[string]bool   // relays
	wiped         map[string][]float64
	all           []*said
	byID, byText  map[string]*said
	announced     map[[2]string]bool    // person and message
	order         map[[2]string][]*said // of by to to, as by has it
	proof         map[string][]proof
	findings      []Finding
	count         Count
}

func (j *judge) find(t float64, rule, who, format string, args ...any) {
	for i, a := range args {
		if text, ok := a.(string); ok && len(text) > 200 {
			args[i] = text[:40] + "..."
		}
	}
	j.findings = append(j.findings, Finding{t, rule, who, fmt.Sprintf(format, args...)})
}

// read unpacks what was shown.
func (j *judge) read(l *Line, into any) bool {
	err := json.Unmarshal(l.JSON, into)
	if err != nil {
		j.find(l.T, Garbled, l.Who, "%s: %v", l.What, err)
	}
	return err == nil
}

// hear takes in what was said and claimed.
func (j *judge) hear(l *Line) {
	switch l.What {
	case "person":
		j.account[l.Who], j.name[l.ID] = l.ID, l.Who
	case "relay":
		j.honest[l.ID] = l.Honest
	case "wiped":
		j.wiped[l.ID] = append(j.wiped[l.ID], l.T)
	case "say":
		j.count.Said++
		m := &said{text: l.Text, by: l.Who, to: l.To, begun: l.T, ended: l.T}
		j.all, j.byText[l.Text] = append(j.all, m), m
	case "said":
		m := j.byText[l.Text]
		if m == nil {
			j.find(l.T, Invented, l.Who, "nobody began to say %q", l.Text)
			return
		}
		m.ended = l.T
		if l.Err != "" {
			j.count.Cut++
			return
		}
		var answer message
		if j.read(l, &answer) {
			j.count.Taken++
			m.taken = true
			j.knows(l, m, answer.ID)
			j.claims(l, m, answer)
		}
	case "saw":
		var e message
		if !j.read(l, &e) {
			return
		}
		switch {
		case e.Event == "message" && e.Author == j.account[l.Who]:
			if m := j.byText[e.Text]; m != nil {
				j.knows(l, m, e.ID)
				j.claims(l, m, e)
			}
		case e.Event == "state":
			if m := j.byID[e.ID]; m != nil {
				j.claims(l, m, e)
			}
		}
	case "read", "disk":
		for _, e := range j.conversation(l) {
			if m := j.byText[e.Text]; m != nil && e.Author == j.account[l.Who] {
				j.knows(l, m, e.ID)
				if l.What == "read" {
					j.claims(l, m, e)
				}
			}
		}
	case "trail":
		var steps []step
		if j.read(l, &steps) {
			j.count.Trails++
			j.proof[l.ID] = append(j.proof[l.ID], proof{l.T, steps})
		}
	}
}

// knows notes the id of a message.
func (j *judge) knows(l *Line, m *said, id string) {
	if other := j.byID[id]; m.id != "" && m.id != id || other != nil && other != m {
		j.find(l.T, Twice, l.Who, "%q is message %s and message %s", m.text, m.id, id)
	}
	m.id, j.byID[id] = id, m
}

func (j *judge) claims(l *Line, m *said, e message) {
	j.count.Claims++
	m.claims = append(m.claims, claim{l.T, l.Run, e})
}

func (j *judge) conversation(l *Line) (list []message) {
	j.read(l, &list)
	return list
}

// putInOrder finds the order in which each one said things to each other one: that of
// the newest reading of their own conversation, which has to be that of the saying.
func (j *judge) putInOrder() {
	for i := len(j.lines) - 1; i >= 0; i-- {
		l := &j.lines[i]
		pair := [2]string{l.Who, l.To}
		if l.What != "read" && l.What != "disk" || j.order[pair] != nil {
			continue
		}
		list := []*said{}
		for _, e := range j.conversation(l) {
			if e.Author != j.account[l.Who] {
				continue
			}
			m := j.byText[e.Text]
			if m == nil {
				j.find(l.T, Invented, l.Who, "%s never said %q to %s", l.Who, e.Text, l.To)
				continue
			}
			for _, before := range list {
				if before.begun > m.ended {
					j.find(l.T, Disorder, l.Who, "%q stands after %q, and was said before it", m.text, before.text)
					break
				}
			}
			list = append(list, m)
		}
		j.order[pair] = list
	}
}

// look compares each reading with what had been shown before it.
func (j *judge) look(l *Line) {
	switch l.What {
	case "saw":
		j.lookAtEvent(l)
	case "disk":
		j.count.Disks++
		j.lookAtList(l, l.T)
	case "read":
		j.count.Reads++
		j.lookAtList(l, l.Begun)
	}
}

// lookAtEvent: what others said is announced once.
func (j *judge) lookAtEvent(l *Line) {
	var e message
	if json.Unmarshal(l.JSON, &e) != nil || e.Event != "message" || e.Author == j.account[l.Who] {
		return
	}
	if key := [2]string{l.Who, e.ID}; j.announced[key] {
		j.find(l.T, Twice, l.Who, "%q was announced again", e.Text)
	} else {
		j.announced[key] = true
	}
	j.genuine(l, e)
}

// genuine: what is shown of somebody, they said, and to this one.
func (j *judge) genuine(l *Line, e message) *said {
	m := j.byText[e.Text]
	if m == nil || m.by != j.name[e.Author] || m.by != l.Who && m.to != l.Who || m.id != "" && m.id != e.ID {
		j.find(l.T, Invented, l.Who, "%s never said %q to %s as message %s", j.name[e.Author], e.Text, l.Who, e.ID)
		return nil
	}
	return m
}

// lookAtList: a conversation has what it has to have, once and in order. by is up to
// when what was shown counts.
func (j *judge) lookAtList(l *Line, by float64) {
	mine, theirs := map[*said]message{}, map[*said]bool{}
	last := -1 // place of the message before, in the order of who said it
	for _, e := range j.conversation(l) {
		m := j.genuine(l, e)
		if m == nil {
			continue
		}
		if m.by == l.Who {
			if _, twice := mine[m]; twice {
				j.find(l.T, Twice, l.Who, "%q is there twice", m.text)
			}
			mine[m] = e
			continue
		}
		if theirs[m] {
			j.find(l.T, Twice, l.Who, "%q is there twice", m.text)
		}
		theirs[m] = true
		place := slices.Index(j.order[[2]string{m.by, m.to}], m)
		switch {
		case place < 0:
			j.find(l.T, Lost, m.by, "%s has %q, and %s who said it has not", l.Who, m.text, m.by)
		case place < last:
			j.find(l.T, Disorder, l.Who, "%q of %s is behind what was said after it", m.text, m.by)
		}
		last = max(last, place)
	}
	j.lookAtMine(l, by, mine)
	j.lookAtTheirs(l, by, theirs)
}

// lookAtMine: what one said is there, and as far as one was told.
func (j *judge) lookAtMine(l *Line, by float64, mine map[*said]message) {
	for _, m := range j.all {
		if m.by != l.Who || m.to != l.To {
			continue
		}
		e, here := mine[m]
		if !here {
			if m.taken && m.ended <= by || m.reached("queued", by) {
				j.find(l.T, Lost, l.Who, "%q was taken and is not there", m.text)
			}
			continue
		}
		if l.What == "disk" {
			for _, c := range m.claims {
				if c.t > by {
					continue
				}
				j.count.OnDisk++
				if rank(e.State) < rank(c.State) && !lapse(c.message, e) || c.State == "failed" && e.State != "failed" {
					j.find(l.T, Untrue, l.Who, "%q was shown as %s; on the disk it is %s", m.text, c.State, e.State)
				}
			}
		}
		j.lookAtState(l.T, l.Who, m, e)
		if l.Calm && rank(e.State) < rank("delivered") && e.State != "failed" {
			j.find(l.T, Unsettled, l.Who, "nothing waits, and %q is %s: %s", m.text, e.State, e.Reason)
		}
	}
}

// lookAtState: a state carries what belongs to it.
func (j *judge) lookAtState(t float64, who string, m *said, e message) {
	switch {
	case rank(e.State) < 0 && e.State != "failed":
		j.find(t, Garbled, who, "%q is %q", m.text, e.State)
	case e.State == "failed" && !coded(e.Reason):
		j.find(t, Unsaid, who, "%q failed for %q", m.text, e.Reason)
	case e.State == "queued" && e.Reason == "" && t-m.ended > SpeakUp:
		j.find(t, Unsaid, who, "%q has been queued for %.0f s for no reason", m.text, t-m.ended)
	case e.Reason != "" && !coded(e.Reason):
		j.find(t, Unsaid, who, "%q is %s for %q, which is no problem with a code", m.text, e.State, e.Reason)
	}
	if e.State == "kept" {
		j.lookAtCopies(t, who, m, e)
	}
}

// lookAtCopies: kept is a promise of two relays, or of all that there are, and fewer
// than three have a reason.
func (j *judge) lookAtCopies(t float64, who string, m *said, e message) {
	c := e.Relays
	switch {
	case c == nil:
		j.find(t, Unproven, who, "%q is kept at no relays", m.text)
	case c.Kept < 1 || c.Kept < min(2, c.Named) || c.Kept > c.Named || c.Wanted != 3:
		j.find(t, Unproven, who, "%q is kept at %d of %d relays, %d wanted", m.text, c.Kept, c.Named, c.Wanted)
	case c.Kept < c.Wanted && e.Reason == "" && t-m.ended > SpeakUp:
		j.find(t, Unsaid, who, "%q is kept at %d of %d relays for no reason", m.text, c.Kept, c.Wanted)
	}
}

var code = regexp.MustCompile(`\b[A-Z]{3}-\d\d\b`)

func coded(reason string) bool { return code.MatchString(reason) }

// lapse says whether a message fell back as it may: its receipts ended.
func lapse(from, to message) bool {
	return from.State == "kept" && to.State == "queued" && strings.Contains(to.Reason, "REL-14")
}

// lookAtTheirs: what its author was told is delivered is here, or hidden behind one that
// is not; in a calm all is here that was taken; without its author what relays keep.
func (j *judge) lookAtTheirs(l *Line, by float64, theirs map[*said]bool) {
	gap := false
	for _, m := range j.order[[2]string{l.To, l.Who}] {
		if theirs[m] {
			continue
		}
		var why string
		switch {
		case m.failed(by): // its author gave it up, and what is behind it waits to hear that
		case l.Calm && m.ended < by:
			why = "nothing waits"
		case gap:
			continue
		case m.reached("delivered", by):
			why = "its author was told that it is delivered"
		case l.Without == l.To:
			if relay := j.keptBy(m, by); relay != "" {
				why = "relay " + relay + " promised to keep it"
			}
		}
		if why != "" {
			j.find(l.T, Lost, l.Who, "%q of %s is not there, but %s", m.text, l.To, why)
			continue
		}
		gap = true
	}
	if l.Without == l.To {
		for m := range theirs {
			if m.by == l.To && !m.reached("delivered", by) && j.keptBy(m, by) != "" {
				j.count.Alone++
			}
		}
	}
}

// keptBy is an honest relay that is proven to keep a message, and lost no disk since it
// was said.
func (j *judge) keptBy(m *said, by float64) string {
	for _, p := range j.proof[m.id] {
		if p.t > by {
			continue
		}
		for _, relay := range p.deposits() {
			since := func(t float64) bool { return t >= m.begun && t <= by }
			if j.honest[relay] && !slices.ContainsFunc(j.wiped[relay], since) {
				return relay
			}
		}
	}
	return ""
}

// weigh looks at all that was shown of one message.
func (j *judge) weigh(m *said) {
	far := func(state string) bool { return m.reached(state, j.lines[len(j.lines)-1].T) }
	if far("delivered") {
		j.count.Delivered++
	}
	if slices.ContainsFunc(m.claims, func(c claim) bool { return c.State == "kept" }) {
		j.count.Kept++
	}
	var shown *claim // by the program itself, in order
	for i := range m.claims {
		c := &m.claims[i]
		j.lookAtState(c.t, m.by, m, c.message)
		if c.State == "failed" {
			j.count.Expired++
		}
		if c.run == 0 {
			continue // the answer to a question may be older than the event before it
		}
		if shown != nil && (shown.State == "failed" && c.State != "failed" || rank(c.State) < rank(shown.State) && c.State != "failed" && !lapse(shown.message, c.message) ||
			c.State == "failed" && rank(shown.State) >= rank("delivered")) {
			j.find(c.t, Backward, m.by, "%q was %s, and then %s: %s", m.text, shown.State, c.State, c.Reason)
		}
		shown = c
	}
	for _, p := range j.proof[m.id] {
		j.lookAtProof(m, p)
	}
}

// lookAtProof: a trail has the receipts for all that had been shown before it.
func (j *judge) lookAtProof(m *said, p proof) {
	relays, acknowledged := p.deposits(), false
	for _, s := range p.steps {
		if s.Proof == "wrong" {
			j.find(p.t, Unproven, m.by, "a proof of %q does not hold", m.text)
		}
		acknowledged = acknowledged || s.What == "acknowledged" && s.Proof != ""
	}
	for _, r := range relays {
		if _, known := j.honest[r]; !known {
			j.find(p.t, Invented, m.by, "%q is kept by %s, which is no relay", m.text, r)
		}
	}
	for _, c := range m.claims {
		switch {
		case c.t > p.t:
		case c.State == "kept" && c.Relays != nil && c.Relays.Kept > len(relays):
			j.find(c.t, Unproven, m.by, "%q was shown as kept at %d relays; there are receipts of %d", m.text, c.Relays.Kept, len(relays))
		case rank(c.State) >= rank("delivered") && !acknowledged:
			j.find(c.t, Unproven, m.by, "%q was shown as %s; nobody acknowledged it", m.text, c.State)
		}
	}
}
