// Package problems says what went wrong in the language of the window and in its words:
// what happened, and what it means and what to do about it here, where no command is
// typed. Which problems there are is package problem's.
package problems

import (
	"strings"

	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/ui/lang"
)

// Said is a problem in words.
type Said struct {
	What  string // what happened, without a full stop
	Means string // what it means and what to do, whole sentences
}

// Sentence is what happened, what it means and what to do.
func (s Said) Sentence() string { return s.What + ". " + s.Means }

// Of is an error in words. What a later version calls a problem keeps the words that it
// came with.
func Of(l *lang.Lang, err error) Said {
	p := problem.From(err)
	if s, ok := words(l, p.Code); ok {
		return s
	}
	return Said{p.What, p.Means + " " + p.Do}
}

// Reason is the first of the reasons for a state, which the API tells as what happened and
// its code, in words; one without a code that is known here stays as it is.
func Reason(l *lang.Lang, text string) string {
	if s, ok := ofReason(l, text); ok {
		return s.What
	}
	first, _, _ := strings.Cut(text, "; ")
	return first
}

// Explain is Reason with what it means.
func Explain(l *lang.Lang, text string) string {
	if s, ok := ofReason(l, text); ok {
		return s.Sentence()
	}
	return text
}

func ofReason(l *lang.Lang, text string) (Said, bool) {
	text, _, _ = strings.Cut(text, "; ")
	i := strings.LastIndex(text, " (")
	if i < 0 || !strings.HasSuffix(text, ")") {
		return Said{}, false
	}
	return words(l, problem.Code(text[i+2:len(text)-1]))
}

// Unreached is why a relay could not be reached, which node.Why tells in English.
func Unreached(l *lang.Lang, why string) string {
	switch why {
	case "another peer answers at its address":
		return l.T("Another computer answers at its address.")
	case "it has no address that this --network may dial":
		return l.T("It has no address in the network that Godwit was started for.")
	case "nobody listens at its address":
		return l.T("Nobody listens at its address.")
	case "there is no way to its network":
		return l.T("There is no way to its network.")
	case "it did not answer a moment ago":
		return l.T("It did not answer a moment ago.")
	case "it did not answer in time":
		return l.T("It did not answer in time.")
	case "it does not answer":
		return l.T("It does not answer.")
	case "it is something else: it does not speak this protocol":
		return l.T("Something else answers there: it is no relay.")
	case "it keeps mail only for those who have a token of its operator":
		return l.T("It keeps mail only for those who have a token of its operator.")
	case "it does not take the token: ask its operator for another":
		return l.T("It does not take the token: ask its operator for another.")
	case "it is reached, and has too much to do":
		return l.T("It is reached, and has too much to do.")
	}
	return why
}

// words are those of a code that can come to the window.
func words(l *lang.Lang, c problem.Code) (Said, bool) {
	switch c {
	case problem.NoAccount:
		return Said{l.T("There is no account here yet"),
			l.T("Nothing can be sent or received before there is one. Start Godwit again to make one, or restore yours from its recovery words.")}, true
	case problem.AccountExists:
		return Said{l.T("There is an account here already"),
			l.T("An account is made once and never overwritten. Nothing was changed: start Godwit again to use it.")}, true
	case problem.WrongWords:
		return Said{l.T("These are not recovery words"),
			l.T("They are 24 English words in their order; one that is wrong or misplaced is noticed. Compare them with what you wrote down.")}, true
	case problem.WordsGone:
		return Said{l.T("The recovery words are no longer on this computer"),
			l.T("They were erased when you said that you had written them down. Only your paper has them now.")}, true
	case problem.DeviceRevoked:
		return Said{l.T("This device does not belong to the account any more"),
			l.T("The account was restored from its words elsewhere, which shuts this device out. What is here can still be read. If that was not you, somebody else has your words: restore the account again, then move to a new one.")}, true
	case problem.Recovered:
		return Said{l.T("The account was restored on another device"),
			l.T("The other side typed their recovery words there. The safety number is the same. If you doubt that it is them, ask another way.")}, true
	case problem.NotAnInvitation:
		return Said{l.T("This is not an invitation"),
			l.T("An invitation begins with godwit:i# and is 140 to 400 characters long. Copy the whole link again.")}, true
	case problem.InvitationGone:
		return Said{l.T("This invitation was used, has expired or was revoked, or is not at its relays yet"),
			l.T("It is for one person, for seven days usually. If it was made just now, try again in a moment; otherwise ask for a new one.")}, true
	case problem.OwnInvitation:
		return Said{l.T("This is an invitation of your own"),
			l.T("Give it to the person you want to talk with.")}, true
	case problem.InvitationUnreachable:
		return Said{l.T("The inviter could not be reached"),
			l.T("No relay and no device of theirs answered, so nobody knows whether the invitation is still good. Nothing was used up: check the network and try again.")}, true
	case problem.NoSuchInvitation:
		return Said{l.T("There is no such invitation"),
			l.T("It was never made here, or it was forgotten after its end.")}, true
	case problem.InvitationForged:
		return Said{l.T("What the relay gave for this invitation is not genuine"),
			l.T("Somebody may be trying to get between you. Nothing was accepted. Ask for a new invitation, another way if you can.")}, true
	case problem.InvitationLifetime:
		return Said{l.T("An invitation cannot live that long"),
			l.T("One for one person is good for 30 days at most, an address for strangers for five years.")}, true
	case problem.NoWayIn:
		return Said{l.T("Nobody could find you by an invitation"),
			l.T("No relay keeps your mail, and this computer cannot be reached. Add a relay on the Network page.")}, true
	case problem.InvitationSpent:
		return Said{l.T("This invitation is no longer open"),
			l.T("It was used, has expired or was revoked. Nothing was changed. If somebody accepted it whom you do not know, block or remove that contact.")}, true
	case problem.TooManyInvitations:
		return Said{l.T("There are as many open invitations as a relay holds"),
			l.T("A relay holds 64 at a time. Wait until one is used or expires.")}, true
	case problem.NoSuchRequest:
		return Said{l.T("This request is not waiting any more"),
			l.T("It was decided before, its time is over, or a stronger one has displaced it. Nothing was changed.")}, true
	case problem.NoSuchContact:
		return Said{l.T("There is no such contact"),
			l.T("Perhaps it was removed meanwhile.")}, true
	case problem.AmbiguousContact:
		return Said{l.T("More than one contact fits"),
			l.T("Nothing was done, so that nothing goes to the wrong person.")}, true
	case problem.BadName:
		return Said{l.T("This name cannot be used"),
			l.T("A name is 1 to 64 characters on one line, without control characters, and no other contact's. Choose another.")}, true
	case problem.ContactBlocked:
		return Said{l.T("This contact is blocked"),
			l.T("Nothing is sent to it and nothing is taken from it, until you unblock it.")}, true
	case problem.ContactFrozen:
		return Said{l.T("This contact's keys contradict each other"),
			l.T("The account may be in other hands, so nothing is sent. Talk to the person another way and compare safety numbers.")}, true
	case problem.AlreadyContact:
		return Said{l.T("You know each other already"),
			l.T("The person is one of your contacts, or yourself.")}, true
	case problem.CannotIntroduce:
		return Said{l.T("These two cannot be introduced to each other"),
			l.T("An introduction is of two different people. Notes to self and Echo are none.")}, true
	case problem.MessageFailed:
		return Said{l.T("The message was not delivered"),
			l.T("It expired or was refused; the way of the message says why. Send it again once the reason is gone.")}, true
	case problem.BadText:
		return Said{l.T("This text cannot be sent"),
			l.T("A message is not empty and has at most 60,000 bytes. Shorten it, or split it.")}, true
	case problem.NoSuchMessage:
		return Said{l.T("This message is not here"),
			l.T("It was deleted, has disappeared, or never came.")}, true
	case problem.Expired:
		return Said{l.T("The message expired before it was acknowledged"),
			l.T("It was tried for its whole time and no device said that it has it. Send it again if it still matters.")}, true
	case problem.ContentUnknown:
		return Said{l.T("This version cannot read it"),
			l.T("The message is genuine but of a newer form. It is kept as it came: install a newer version.")}, true
	case problem.Renumbered:
		return Said{l.T("The number of this message was used twice"),
			l.T("Their profile was probably copied or put back from a copy. If they know nothing of it, compare safety numbers.")}, true
	case problem.SessionLost:
		return Said{l.T("A message came that no session can open"),
			l.T("The keys of one side are older, as after a profile was restored from a copy. Invite each other again: then everything undelivered is sent anew.")}, true
	case problem.FirstAnswer:
		return Said{l.T("It waits for the other person's first answer"),
			l.T("Before that only the first 16 short messages are sent ahead. The rest goes out by itself.")}, true
	case problem.OutOfTouch:
		return Said{l.T("No relay that the contact named takes messages for them any more"),
			l.T("They may have moved to other relays or be long away. The message is safe here and goes on when you are both online.")}, true
	case problem.MayBeDisplaced:
		return Said{l.T("It is left where strangers' messages wait, and may be displaced"),
			l.T("The other person decides whether to be your contact. Until then it is left again now and then, and is safe here.")}, true
	case problem.Asked:
		return Said{l.T("The other person is asked whether to be your contact"),
			l.T("Their device has seen the message. What you sent arrives when they accept.")}, true
	case problem.StrangersCrowd:
		return Said{l.T("A relay takes no more messages of strangers for this person"),
			l.T("Very many wait there already. It is tried again; an invitation from the person is a shorter way.")}, true
	case problem.MessageGone:
		return Said{l.T("This message was deleted"),
			l.T("Nothing is left of it to answer, edit, forward or react to.")}, true
	case problem.NotYours:
		return Said{l.T("The other person said this"),
			l.T("Only who wrote a message can edit it, or delete it for both. You can delete it here.")}, true
	case problem.WrongKind:
		return Said{l.T("This cannot be done to a line of this kind"),
			l.T("Only texts can be edited and forwarded; notes that this device made stand here alone.")}, true
	case problem.BadReaction:
		return Said{l.T("This is no reaction"),
			l.T("A reaction is one emoji.")}, true
	case problem.BadTimer:
		return Said{l.T("Messages cannot disappear after this time"),
			l.T("It is 365 days at most.")}, true
	case problem.CannotListen:
		return Said{l.T("Other devices cannot reach Godwit at this address"),
			l.T("The address is taken by another program, is not this computer's, or is not permitted.")}, true
	case problem.BadAddress:
		return Said{l.T("This is not an address"),
			l.T("An address looks like /ip4/…/tcp/…/p2p/12D3Koo… and has no host names. Copy it whole from what the relay showed.")}, true
	case problem.NoRelayReached:
		return Said{l.T("No relay could be reached"),
			l.T("Your messages are safe on this computer and are sent when a relay or the other person can be reached. Check the network.")}, true
	case problem.AddressNotInNet:
		return Said{l.T("This address is outside of the network that was chosen"),
			l.T("Godwit was started for a smaller network. Choose an address inside of it.")}, true
	case problem.DHTCrowd:
		return Said{l.T("Somebody crowds round what you looked for"),
			l.T("It seems that somebody wants to hide where a contact is. It is looked for in many more places. Nobody can read or forge anything, and relays work all the same.")}, true
	case problem.DHTShrunk:
		return Said{l.T("Far fewer computers are seen than in the last week"),
			l.T("Either most are gone, or somebody shows you only their own. Contacts who have moved may not be found; messages by relays go all the same.")}, true
	case problem.DHTSplit:
		return Said{l.T("Some computers hide others"),
			l.T("The relays of your contacts lead to computers that the others do not show. Everything is looked for on both sides until this ends.")}, true
	case problem.NoSuchRelay:
		return Said{l.T("This relay does not keep your mail"),
			l.T("Nothing was changed.")}, true
	case problem.RelayRunning:
		return Said{l.T("A relay is running here already"),
			l.T("Two relays cannot share one place. Nothing was touched: stop the other one first.")}, true
	case problem.RelayData:
		return Said{l.T("What the relay keeps cannot be opened"),
			l.T("Its files are damaged, or from a newer version. Nothing was touched.")}, true
	case problem.RelayDir:
		return Said{l.T("The relay has no place to keep anything"),
			l.T("The place is a file, is read-only, is full, or belongs to somebody else.")}, true
	case problem.TooManyRelays:
		return Said{l.T("You have as many relays as you can use"),
			l.T("Each message goes to three at most. Give one up first.")}, true
	case problem.RelayUnreached:
		return Said{l.T("A relay of the contact cannot be reached"),
			l.T("The message is safe on this computer and is tried again. Check the network if it lasts.")}, true
	case problem.RelayRefused:
		return Said{l.T("The contact's relays do not take the message"),
			l.T("Its time there is over until the contact's device renews it. The message is safe on this computer.")}, true
	case problem.RelayUnproven:
		return Said{l.T("A relay did not prove that it keeps the message"),
			l.T("So it is not counted. The message is safe on this computer.")}, true
	case problem.RelayFull:
		return Said{l.T("The contact's relays have no room"),
			l.T("The message is safe on this computer and is tried again.")}, true
	case problem.BoxFull:
		return Said{l.T("The contact's box at its relays is full"),
			l.T("They have long been away. It goes on when they have read their mail.")}, true
	case problem.NoRelayNamed:
		return Said{l.T("The contact has named no relay"),
			l.T("Messages reach them only while you are both online.")}, true
	case problem.FewRelays:
		return Said{l.T("The contact has named fewer than three relays"),
			l.T("The message is kept, but if those are lost, so is the copy. It stays on this computer until it has arrived.")}, true
	case problem.CopyEnded:
		return Said{l.T("A relay's promise to keep the message has ended"),
			l.T("The contact did not fetch it in time. It is safe on this computer and is left there anew.")}, true
	case problem.RelayLoses:
		return Said{l.T("A relay of yours loses what it promised to keep"),
			l.T("Another takes its place. One that you gave by hand stays until you give it up.")}, true
	case problem.RelayForges:
		return Said{l.T("A relay of yours signs receipts that do not hold"),
			l.T("Another takes its place. One that you gave by hand stays until you give it up.")}, true
	case problem.RelayReturns:
		return Said{l.T("A relay of yours keeps what it was told to delete"),
			l.T("What it keeps is sealed. Another takes its place; one that you gave by hand stays until you give it up.")}, true
	case problem.RelaySlow:
		return Said{l.T("A relay of yours is slow"),
			l.T("The slowest of its answers take more than 5 seconds. If it lasts another takes its place.")}, true
	case problem.RelayGone:
		return Said{l.T("A relay of yours does not serve any more"),
			l.T("For hours it could not be reached or took nothing. If it lasts another takes its place.")}, true
	case problem.NoOtherRelay:
		return Said{l.T("No other relay leads to the contact's relays"),
			l.T("You chose that nothing goes to them straight, since they would see this computer's address. The message is safe here and is tried again.")}, true
	case problem.OnlyFriends:
		return Said{l.T("Only a computer of the contact's friends keeps the message"),
			l.T("It is on at times, so nobody can promise when it gives the message out. The message is safe here, too.")}, true
	case problem.BadToken:
		return Said{l.T("This is not a relay's token"),
			l.T("A token has 22 letters, digits, - and _ or more. Copy it whole from what the relay's operator gave you.")}, true
	case problem.HomeUnreached:
		return Said{l.T("Contacts cannot reach this computer yet"),
			l.T("It has no address that they could dial, and no other relay leads to it so far. One is looked for; or forward its port in your router.")}, true
	case problem.FewOwnRelays:
		return Said{l.T("Fewer than three relays keep your mail"),
			l.T("If those fail, messages reach you only while you and the sender are online. Others are looked for, or add one.")}, true
	case problem.ConfigSyntax:
		return Said{l.T("The configuration cannot be read"),
			l.T("Mend the line of config.toml that is named in the details.")}, true
	case problem.ProfileInUse:
		return Said{l.T("Another program is using this profile"),
			l.T("Two programs on one profile would spoil each other's keys. Nothing was touched: end the other one, or wait for it.")}, true
	case problem.CannotMakeDir:
		return Said{l.T("A file of the profile cannot be made"),
			l.T("The place is read-only, is full, or belongs to somebody else. Mend its permissions.")}, true
	case problem.ProfileNewer:
		return Said{l.T("This profile was made by a newer version"),
			l.T("This version does not know its form and has not touched it. Install the newer version again.")}, true
	case problem.Locked:
		return Said{l.T("Godwit is locked"),
			l.T("Its keys open with your passphrase only.")}, true
	case problem.WrongPassphrase:
		return Said{l.T("The passphrase is wrong"),
			l.T("You can try as often as you like. There is no way round a forgotten passphrase but your 24 words.")}, true
	case problem.KeyMissing:
		return Said{l.T("The key of this profile is not here"),
			l.T("It lies in the keyring of the computer where the profile was made, or in a file beside it; a copy without it does not open. Use the profile there, or restore your account from its words.")}, true
	case problem.VaultDamaged:
		return Said{l.T("The file with this profile's keys is damaged"),
			l.T("It is cut short or altered, and was not used. Put vault.key back from a copy, or restore your account from its words.")}, true
	case problem.KeyringSilent:
		return Said{l.T("The keyring of this computer does not answer"),
			l.T("The profile's key lies there. Unlock the keyring and try again.")}, true
	case problem.NotLocked:
		return Said{l.T("There is no passphrase"),
			l.T("Nothing was changed.")}, true
	case problem.BadPassphrase:
		return Said{l.T("This passphrase cannot be used"),
			l.T("It is not empty, and at most 1024 bytes on one line. Choose another.")}, true
	case problem.StoreDamaged:
		return Said{l.T("The database of this profile is damaged or missing"),
			l.T("A part of it does not read as it was written. Nothing more was written to it. Restore the profile from a copy, and please report this with the details.")}, true
	case problem.DiskFull:
		return Said{l.T("The disk is full"),
			l.T("This could not be kept, so it was not done. Make room and try again.")}, true
	case problem.NodeSilent:
		return Said{l.T("The program that has this profile open does not answer"),
			l.T("Wait a moment and try again; if it stays silent, end it and start Godwit anew.")}, true
	case problem.APIVersion:
		return Said{l.T("The program that has this profile open is of another version"),
			l.T("It and this window do not understand each other. End it, and start both from the same version.")}, true
	case problem.BadRequest:
		return Said{l.T("The window asked for something that is not there"),
			l.T("Please report this with the details.")}, true
	case problem.EventsLost:
		return Said{l.T("Things happened faster than the window could show them"),
			l.T("No message is lost.")}, true
	case problem.NodeStopped:
		return Said{l.T("The program behind this window was stopped"),
			l.T("What was done stays. Start Godwit again.")}, true
	case problem.BadLink:
		return Said{l.T("This is not a link that Godwit knows"),
			l.T("A link begins with godwit: and is an invitation, or names a chat. It was not opened.")}, true
	case problem.Unexpected:
		return Said{l.T("Something unexpected went wrong"),
			l.T("Try again, and please report it with the details if it stays.")}, true
	case problem.Interrupted:
		return Said{l.T("It was interrupted"),
			l.T("What was done stays.")}, true
	case problem.TimedOut:
		return Said{l.T("It took too long"),
			l.T("Try again.")}, true
	case problem.NotPermitted:
		return Said{l.T("The system does not permit this"),
			l.T("A file or directory belongs to somebody else or is read-only. Mend its permissions.")}, true
	}
	return Said{}, false
}
