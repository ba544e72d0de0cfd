package problem

// The families: USE how it was called, ACC the account, INV invitations, CON
// contacts, MSG messages, NET the network, REL relays, CFG configuration and
// directories, VLT keys at rest, STO the database, API the local API, SYS the
// rest. A code is never given a second meaning.
const (
	Usage    Code = "USE-01"
	NotYet   Code = "USE-02"
	NoSuchID Code = "USE-03"

	NoAccount     Code = "ACC-01"
	AccountExists Code = "ACC-02"
	WrongWords    Code = "ACC-03"
	WordsGone     Code = "ACC-04"
	DeviceRevoked Code = "ACC-05"
	Recovered     Code = "ACC-06"

	NotAnInvitation       Code = "INV-01"
	InvitationGone        Code = "INV-02"
	OwnInvitation         Code = "INV-03"
	InvitationUnreachable Code = "INV-04"
	NoSuchInvitation      Code = "INV-05"
	InvitationForged      Code = "INV-06"
	InvitationLifetime    Code = "INV-07"
	NoWayIn               Code = "INV-08"
	InvitationSpent       Code = "INV-09"
	TooManyInvitations    Code = "INV-10"
	NoSuchRequest         Code = "INV-11"

	NoSuchContact    Code = "CON-01"
	AmbiguousContact Code = "CON-02"
	BadName          Code = "CON-03"
	ContactBlocked   Code = "CON-04"
	ContactFrozen    Code = "CON-05"
	AlreadyContact   Code = "CON-06"
	CannotIntroduce  Code = "CON-07"

	WaitTimedOut  Code = "MSG-01"
	MessageFailed Code = "MSG-02"
	BadText       Code = "MSG-03"
	NoSuchMessage Code = "MSG-04"

	Expired        Code = "MSG-05"
	ContentUnknown Code = "MSG-06"
	Renumbered     Code = "MSG-07"
	SessionLost    Code = "MSG-08"
	FirstAnswer    Code = "MSG-09"
	OutOfTouch     Code = "MSG-10"
	MayBeDisplaced Code = "MSG-11"
	Asked          Code = "MSG-12"
	StrangersCrowd Code = "MSG-13"

	MessageGone Code = "MSG-14"
	NotYours    Code = "MSG-15"
	WrongKind   Code = "MSG-16"
	BadReaction Code = "MSG-17"
	BadTimer    Code = "MSG-18"

	CannotListen    Code = "NET-01"
	BadAddress      Code = "NET-02"
	NoRelayReached  Code = "NET-03"
	AddressNotInNet Code = "NET-04"
	DHTCrowd        Code = "NET-05"
	DHTShrunk       Code = "NET-06"
	DHTSplit        Code = "NET-07"

	NoSuchRelay   Code = "REL-01"
	NoRelayHere   Code = "REL-02"
	RelayRunning  Code = "REL-03"
	RelayData     Code = "REL-04"
	TooManyRelays Code = "REL-05"

	RelayUnreached Code = "REL-06"
	RelayRefused   Code = "REL-07"
	RelayUnproven  Code = "REL-08"
	RelayFull      Code = "REL-09"
	BoxFull        Code = "REL-10"
	NoRelayNamed   Code = "REL-11"
	FewRelays      Code = "REL-12"
	RelayDir       Code = "REL-13"
	CopyEnded      Code = "REL-14"

	RelayLoses   Code = "REL-15"
	RelayForges  Code = "REL-16"
	RelayReturns Code = "REL-17"
	RelaySlow    Code = "REL-18"
	RelayGone    Code = "REL-19"
	FewOwnRelays Code = "REL-20"
	NoOtherRelay Code = "REL-21"

	CheckUnreached Code = "REL-22"
	CheckBusy      Code = "REL-23"
	CheckToken     Code = "REL-24"
	CheckFails     Code = "REL-25"
	RelayStore     Code = "REL-26"
	LimitsStay     Code = "REL-27"
	BadToken       Code = "REL-28"
	RelayThere     Code = "REL-29"
	BadExport      Code = "REL-30"
	FileThere      Code = "REL-31"
	OnlyFriends    Code = "REL-32"
	HomeUnreached  Code = "REL-33"
	RelayShared    Code = "REL-34"
	RelayOwnMail   Code = "REL-35"
	RelayMoved     Code = "REL-36"
	NoRelayData    Code = "REL-37"

	ConfigSyntax  Code = "CFG-01"
	ConfigUnknown Code = "CFG-02"
	ConfigValue   Code = "CFG-03"
	ProfileInUse  Code = "CFG-04"
	CannotMakeDir Code = "CFG-05"
	ProfileNewer  Code = "CFG-06"

	Locked          Code = "VLT-01"
	WrongPassphrase Code = "VLT-02"
	KeyMissing      Code = "VLT-03"
	VaultDamaged    Code = "VLT-04"
	KeyringSilent   Code = "VLT-05"
	NotLocked       Code = "VLT-06"
	BadPassphrase   Code = "VLT-07"

	StoreDamaged Code = "STO-01"
	DiskFull     Code = "STO-02"

	NodeSilent  Code = "API-01"
	APIVersion  Code = "API-02"
	BadRequest  Code = "API-03"
	EventsLost  Code = "API-04"
	NodeStopped Code = "API-05"
	NoWindow    Code = "API-06"
	BadLink     Code = "API-07"
	NodeBusy    Code = "API-08"

	Unexpected   Code = "SYS-01"
	Interrupted  Code = "SYS-02"
	TimedOut     Code = "SYS-03"
	NotPermitted Code = "SYS-04"
	DemoFailed   Code = "SYS-05"
	BenchFailed  Code = "SYS-06"
	OutputLost   Code = "SYS-07"
	NoDisplay    Code = "SYS-08"
)

var table = [...]Problem{
	{Usage, ExitUsage, "The command was not understood",
		"Nothing was done.",
		"See `godwit help` or `godwit help COMMAND`."},
	{NotYet, ExitUnavailable, "This version cannot do that yet",
		"The option is part of the command's final form, but what it needs comes with a later version. Nothing was done.",
		"Leave the option out, or see CHANGELOG.md for the version that brings it."},
	{NoSuchID, ExitFailed, "There is no such code or id",
		"It is not one that is known here.",
		"List what is there first, and copy the id whole."},

	{NoAccount, ExitConfig, "There is no account in this profile",
		"Nothing can be sent or received before there is one.",
		"Run `godwit init`, or `godwit recover` if you have your 24 words. If you have an account elsewhere on this computer, check --profile and GODWIT_HOME."},
	{AccountExists, ExitCannotMake, "There is an account in this profile already",
		"An account is made once and never overwritten. Nothing was changed.",
		"Use it as it is, or choose another directory with --profile."},
	{WrongWords, ExitFailed, "These are not recovery words",
		"A recovery phrase is 24 words of the BIP39 English list, in order; the last word holds a checksum, so a wrong or misplaced word is noticed. Nothing was changed.",
		"Compare the words with what you wrote down; if one is named, begin with it."},
	{WordsGone, ExitFailed, "The recovery words are no longer on this device",
		"They were removed when you said that you had written them down. Only the paper has them now.",
		"Use what you wrote down."},
	{DeviceRevoked, ExitPermission, "This device does not belong to the account any more",
		"The account was recovered with its words on another device, which revoked this one. It sends and receives nothing any more; what it has can still be read. Messages that relays keep may still arrive; those that were only here were not sent.",
		"Go on where the account was recovered. If that was not you, somebody else has your words: recover again with `godwit recover`, which revokes their device, and then move to a new account and tell your contacts over another channel."},
	{Recovered, ExitFailed, "The account was recovered on another device",
		"The other side entered their recovery words on a new device, and their former devices are revoked. The safety number is the same. What waited for them goes to the new device; what they had read before is not there. Whoever has the words can do this.",
		"If you are in doubt that it is them, ask over another channel. If their former device is in wrong hands, what you sent before may be, too."},

	{NotAnInvitation, ExitFailed, "This is not an invitation",
		"An invitation starts with godwit:i# and is 140 to 400 characters long. This text is not one, or a part of it is missing.",
		"Copy the whole link again. Mind the quotes: the # must not be eaten by the shell."},
	{InvitationGone, ExitFailed, "This invitation was used, has expired or was revoked, or is not at its relays yet",
		"A single-use invitation admits one person, for seven days unless its maker chose otherwise. One that was made while no relay could be reached gets there once its maker's device reaches one. A reusable address cannot be used while its owner has not been online for 30 days.",
		"If it was made just now, try again in a moment. Otherwise ask for a new one."},
	{OwnInvitation, ExitFailed, "This is an invitation of your own",
		"Accepting it would make you a contact of yourself.",
		"Give it to the person you want to talk with."},
	{InvitationUnreachable, ExitUnavailable, "The inviter could not be reached",
		"Neither a relay nor a device that the invitation names answered, so it is not known whether the invitation is still good. Nothing was used up.",
		"Check the network and try again, or ask the inviter to be online meanwhile."},
	{NoSuchInvitation, ExitFailed, "There is no invitation with this id",
		"It was never made in this profile, or it was forgotten after its end.",
		"See `godwit invites`."},
	{InvitationForged, ExitFailed, "What the relay gave for this invitation is not genuine",
		"The keys do not carry the signature of the account that the invitation names. Somebody may be trying to get between you. Nothing was accepted.",
		"Ask the inviter for a new invitation, over another way if you can."},
	{InvitationLifetime, ExitUsage, "An invitation cannot live that long",
		"A single-use invitation is good for 30 days at most, a reusable address for five years, and each at least a minute.",
		"Choose --expires between 1m and 720h, with --reusable between 1m and 43800h."},
	{NoWayIn, ExitUnavailable, "Nobody could find you by an invitation",
		"This account keeps its mail at no relay, and no node of it is running that could be reached.",
		"Add a relay with `godwit relay add ADDRESS`, or keep `godwit node` running while the invitation is open."},
	{InvitationSpent, ExitFailed, "This invitation is no longer open",
		"It was used, has expired or was revoked before, so there is nothing to revoke. Nothing was changed.",
		"If somebody accepted it whom you do not know, see `godwit contacts` and block or remove that contact."},
	{TooManyInvitations, ExitFailed, "There are as many open invitations as a relay holds",
		"A relay holds 64 at a time. One more would not be found there.",
		"Revoke one with `godwit invite revoke ID`, or wait until one is used or expires."},
	{NoSuchRequest, ExitFailed, "No request with this id waits",
		"It was accepted, ignored or blocked before, its time is over, or a stronger one has displaced it. Nothing was changed.",
		"See `godwit requests`."},

	{NoSuchContact, ExitFailed, "There is no such contact",
		"No petname and no account id of this profile fits. An account id may be shortened to its first letters, four at the least, if no other contact's begins with them.",
		"See `godwit contacts`."},
	{AmbiguousContact, ExitFailed, "More than one contact fits",
		"Nothing was done, so that nothing goes to the wrong person.",
		"Give more of the account id."},
	{BadName, ExitUsage, "This name cannot be used",
		"A name is 1 to 64 characters on one line, without control or bidirectional characters, and no other contact's.",
		"Choose another."},
	{ContactBlocked, ExitPermission, "This contact is blocked",
		"You blocked the contact, so nothing is sent to it and nothing is taken from it.",
		"Run `godwit contact unblock CONTACT` first."},
	{ContactFrozen, ExitPermission, "This contact's keys contradict each other",
		"Two lists of devices were signed for the same number. The account may be in other hands, so sending has stopped.",
		"Talk to the person another way and compare safety numbers."},
	{AlreadyContact, ExitFailed, "You know each other already",
		"The person is one of your contacts, or yourself.",
		"Write to them: `godwit contacts` shows their name here."},
	{CannotIntroduce, ExitFailed, "These two cannot be introduced to each other",
		"An introduction is of two different people. Notes to self and Echo are none.",
		"Name two of your contacts."},

	{WaitTimedOut, ExitTimedOut, "The message has not come that far yet",
		"Nothing is lost: only the waiting ended. Until it is delivered it stays on this device and goes on by itself. That it was read is known only if the other side shares it.",
		"See `godwit messages CONTACT` later, or give a longer --timeout. Do not send it again."},
	{MessageFailed, ExitFailed, "The message was not delivered",
		"It expired or was refused; the reason is beside it.",
		"Send it again once the reason is gone."},
	{BadText, ExitFailed, "This text cannot be sent",
		"A message is UTF-8 text that is not empty and has at most 60,000 bytes.",
		"Shorten it, or split it."},
	{NoSuchMessage, ExitFailed, "There is no message with this id",
		"It is not in this conversation, or was never here.",
		"See `godwit messages CONTACT`."},

	{Expired, ExitFailed, "The message expired before it was acknowledged",
		"It was tried for its whole time and no device of the contact said that it has it.",
		"Send it again if it still matters."},
	{ContentUnknown, ExitFailed, "The content cannot be read by this version",
		"The message is genuine but of a form that this version does not know. It is kept as it came.",
		"Install a newer version."},
	{Renumbered, ExitFailed, "The contact used the number of this message twice",
		"Their profile was probably copied or put back from a copy. What they said is shown all the same.",
		"If they know nothing of it, talk to them another way and compare safety numbers."},
	{SessionLost, ExitTryAgain, "A message came that no session can open",
		"The keys of one side are older than those of the other, as after a profile was restored from a copy. The message is set aside, and its sender sees that it is not delivered.",
		"Make an invitation and have the contact accept it, or accept one of theirs. That begins a new session, in which everything undelivered is sent again."},
	{FirstAnswer, ExitTryAgain, "It waits for the other person's first answer",
		"Until a new contact's device has answered once, only the first 16 short messages can be sent ahead.",
		"Nothing: it goes out by itself when they have been online."},
	{OutOfTouch, ExitUnavailable, "No relay that the contact named takes messages for them any more",
		"For a day or longer none has. The contact may have moved to other relays while one of you was away, or has been away for more than a month. The message is safe on this device. It goes on when you are both online: at an address that either of you knows, or that the DHT tells; or when the contact's new relays are told through yours.",
		"Nothing, or keep the node running for a while at a time when the contact is online."},
	{MayBeDisplaced, ExitTryAgain, "It is left where strangers' messages wait, and may be displaced",
		"You wrote by a reusable address, so the other person decides whether to be your contact. Until then relays keep the message only while it is not displaced by others who did more work for theirs. This is no promise, so the message is not called kept. It is safe on this device and is left again until it is answered.",
		"Nothing, but keep a node running now and then: it does the work again, an hour after the first time and then less and less often, once a day at last."},
	{Asked, ExitTryAgain, "The other person is asked whether to be your contact",
		"Their device has seen the message and leaves the decision to its owner. Whether it was kept there, and what they decide unless they accept, is not told.",
		"Nothing: what you sent arrives when they accept."},
	{StrangersCrowd, ExitTryAgain, "A relay takes no more messages of strangers for this person",
		"As many wait there already, and all took as much work as is ever asked for. The message is safe on this device and is tried again.",
		"Nothing, or ask the person for a single-use invitation, which takes no work."},

	{MessageGone, ExitFailed, "This message was deleted",
		"Nothing is left of it to answer, edit, forward or react to.",
		"See `godwit messages CONTACT`."},
	{NotYours, ExitFailed, "The other person said this",
		"Only who wrote a message can edit it, or ask the other side's device to delete it.",
		"Delete it on this device alone: `godwit delete ID`."},
	{WrongKind, ExitFailed, "This cannot be done to a line of this kind",
		"Only texts can be edited and forwarded, and notes that this device made for itself have no counterpart on the other side.",
		"See `godwit messages CONTACT`."},
	{BadReaction, ExitFailed, "This is no reaction",
		"A reaction is one emoji, of 64 bytes at most. Words would stand at the message as if they belonged to it.",
		"Give an emoji, or write an answer: `godwit send --reply-to ID`."},
	{BadTimer, ExitFailed, "Messages cannot disappear after this time",
		"A timer is a number of whole seconds, 365 days at most.",
		"Give a time such as 30s, 1h, 1d or 4w, or off."},

	{CannotListen, ExitUnavailable, "The node cannot listen there",
		"The address is taken by another program, is not this computer's, or is not permitted.",
		"Choose another --listen (or --http), or leave it out."},
	{BadAddress, ExitUsage, "This is not an address",
		"An address is a multiaddr that ends with the peer's id, such as /ip4/127.0.0.1/tcp/4001/p2p/12D3Koo... Host names are not looked up.",
		"Copy it whole from what the relay or node printed."},
	{NoRelayReached, ExitUnavailable, "No relay could be reached",
		"Your messages are safe on this device and will be sent when a relay or the other person can be reached.",
		"Check the network. If you have no relay yet, add one with `godwit relay add ADDRESS`, or run one with `godwit relay`."},
	{AddressNotInNet, ExitUsage, "This address is outside the network that was chosen",
		"--network lan dials and listens only in the local network and --network loopback only on this computer; public dials global addresses.",
		"Choose an address inside, or another --network."},

	{DHTCrowd, ExitUnavailable, "Peers crowd round something that was looked for in the DHT",
		"They stand nearer to it than chance explains: somebody seems to have made them in order to hide where a contact is. Records are kept and looked for at many more peers until this ends. Nobody can read or forge them, and messages reach contacts by relays all the same.",
		"Nothing has to be done. If contacts are not found for long, write to them by a relay, or give them a new invitation."},
	{DHTShrunk, ExitUnavailable, "The DHT looks far smaller than it did in the last week",
		"Either most of its servers are gone, or all peers that this node started from belong to somebody who shows it only their own. Then contacts whose addresses have all changed are not found. Messages reach the others, and go by relays, all the same.",
		"Start from other peers: `--peer ADDRESS` of somebody you trust, or a relay that a friend runs with `godwit relay add ADDRESS`."},
	{DHTSplit, ExitUnavailable, "Some peers of the DHT hide others",
		"The relays of your contacts lead to servers of the DHT that the peers which this node started from do not show. Everything is looked for on both sides until this ends.",
		"If you started from peers given by hand, give others. Peers from the last run are forgotten with time."},

	{NoSuchRelay, ExitFailed, "This account keeps no box at this relay",
		"Nothing was changed.",
		"See `godwit relay list`."},
	{NoRelayHere, ExitUnavailable, "No relay is running in this directory",
		"There is no relay to ask.",
		"Start it with `godwit relay --data DIR`, or name its directory with --data."},
	{RelayRunning, ExitTryAgain, "A relay is running in this directory already",
		"Two relays cannot share one directory. Nothing was touched.",
		"Stop the other one, or choose another --data."},
	{RelayData, ExitConfig, "The relay's directory cannot be opened",
		"Its files are damaged, or from a newer version. Nothing was touched.",
		"See the detail, and restore the directory from a copy or choose another --data."},
	{RelayStore, ExitUnavailable, "The servers that keep the relay's mail do not serve it",
		"They cannot be reached, are too few, or their stream is not as this relay needs it: it is set up otherwise, or another relay's, an import into it was cut off, or the relay was moved out of it. Nothing that was promised is lost.",
		"See the detail; check `store` and the servers, of which more than half must run; begin an import again that was cut off. Then start the relay again, which a service does by itself."},
	{RelayShared, ExitFailed, "This relay's mail is kept by servers that relays share",
		"It is not in the relay's directory, so it is neither copied with it nor served without them. Nothing was touched.",
		"Give it the `store` that it had, to start it and to copy it."},
	{RelayOwnMail, ExitFailed, "This relay's mail is in its own directory",
		"With `store` it would be the same relay without the mail that it promised to keep. Nothing was touched.",
		"Move the mail there: `godwit relay export --move FILE`, then `godwit relay import FILE` with `store`, into another --data. Or leave out `store`."},
	{RelayMoved, ExitConfig, "The relay of this directory was moved away",
		"What is here is a copy from then. Started beside the one that goes on elsewhere it would promise to keep mail that the other does not have. Nothing was touched.",
		"Start it where it went, and remove this directory. If it never ran there, and never will, remove the file `moved` and start it here again."},
	{NoRelayData, ExitFailed, "There is no relay in this directory",
		"It does not hold a relay's key, so there is nothing to copy. No file was made.",
		"Name the relay's directory with --data."},
	{RelayDir, ExitCannotMake, "The relay's directory cannot be made",
		"The place is a file, is read-only, is full, or belongs to somebody else.",
		"Choose another --data, or mend the permissions."},
	{TooManyRelays, ExitFailed, "This account has as many relays as it can use",
		"Each message goes to at most three relays.",
		"Remove one with `godwit relay remove` first."},
	{RelayUnreached, ExitUnavailable, "A relay of the contact cannot be reached",
		"The message is safe on this device and is tried again.",
		"Nothing, or check the network if it lasts."},
	{RelayRefused, ExitTryAgain, "The contact's relays do not take the message",
		"They do not know the contact's queue, or its time there is over. The message is safe on this device and is tried again.",
		"Nothing: the contact's device renews its queues when it is online."},
	{RelayUnproven, ExitUnavailable, "A relay's receipt does not hold",
		"A relay of the contact said that it keeps the message but did not prove it, so it is not counted. The message is safe on this device.",
		"Nothing. If it lasts, tell the contact to choose another relay."},
	{RelayFull, ExitTryAgain, "The contact's relays have no room",
		"Their disks are full. The message is safe on this device and is tried again.",
		"Nothing, or tell the contact to add a relay."},
	{BoxFull, ExitTryAgain, "The contact's box at its relays is full",
		"The contact has not been online for so long that nothing more fits. The message is safe on this device and is tried again.",
		"Nothing: it goes on when the contact has read its mail."},
	{NoRelayNamed, ExitUnavailable, "The contact has named no relay",
		"Messages reach the contact only while both of you are online.",
		"Nothing, or tell the contact to add a relay."},
	{FewRelays, ExitUnavailable, "The contact has named fewer than three relays",
		"The message is kept, but if those relays are lost, so is the copy. It stays on this device until it is acknowledged.",
		"Nothing, or tell the contact to add relays."},
	{CopyEnded, ExitTryAgain, "A relay's promise to keep the message has ended",
		"The time that its receipt named is over before the contact fetched the message, and it was not left there anew yet. The message is safe on this device and is tried again.",
		"Nothing, or check the network if it lasts."},

	{RelayLoses, ExitFailed, "A relay of yours loses what it promised to keep",
		"Cells that this device left there as a test, and that the relay signed for, were not there any more, twice in 30 days. What it says of other people's messages means as little. They are safe with their senders and at your other relays.",
		"Nothing: another takes its place. One that you gave by hand stays until you remove it: `godwit relay remove`, and tell its operator."},
	{RelayForges, ExitFailed, "A relay of yours signs receipts that do not hold",
		"It took cells that this device left there as a test, and proved nothing. Senders do not count such receipts.",
		"Nothing: another takes its place. One that you gave by hand stays until you remove it: `godwit relay remove`, and tell its operator."},
	{RelayReturns, ExitFailed, "A relay of yours gives out again what it was told to delete",
		"It said that it had deleted cells that this device left there as a test, and still has them. What it keeps is sealed, but it keeps it longer than it says.",
		"Nothing: another takes its place. One that you gave by hand stays until you remove it: `godwit relay remove`, and tell its operator."},
	{RelaySlow, ExitFailed, "A relay of yours is slow",
		"The slowest of its answers take more than 5 seconds.",
		"Nothing: if it lasts another takes its place. One that you gave by hand stays until you remove it with `godwit relay remove`."},
	{RelayGone, ExitFailed, "A relay of yours does not serve any more",
		"For hours it could not be reached or took nothing, while this device was online.",
		"Nothing: if it lasts another takes its place. One that you gave by hand stays until you remove it with `godwit relay remove`."},
	{NoOtherRelay, ExitUnavailable, "No other relay leads to the contact's relays",
		"With private_routing = \"only\" nothing goes to them straight, since they would see the address of this computer. A message is safe on this device and is tried again.",
		"Nothing: the contact's device tells of other ways when it is online. Or set private_routing to \"on\": then it goes straight where for 15 seconds no other relay leads there."},
	{FewOwnRelays, ExitFailed, "Fewer than three relays keep your mail",
		"If those fail, messages reach you only while you and the sender are online.",
		"Nothing: others are looked for, and the reason says what that waits for. Or add one with `godwit relay add ADDRESS`."},

	{OnlyFriends, ExitFailed, "Only a computer of the contact's friends keeps the message",
		"It is on at times, so nobody can promise when it gives the message out. The message is safe on this device, too.",
		"Nothing: it is delivered when the contact is online and so are you, or that computer. The contact should add a relay."},

	{HomeUnreached, ExitFailed, "Contacts cannot reach this computer yet",
		"It has no address that they could dial, and no other relay leads to it so far. Nobody keeps mail here before that.",
		"Nothing, if it has just been started: relays through which it is reached are looked for. Else forward its port in the router."},

	{CheckUnreached, ExitUnavailable, "The relay cannot be reached from here",
		"Nobody else reaches it at this address either, unless they are nearer to it than you: on its own computer or network.",
		"See that it runs, and that its port is open in the firewall and forwarded by the router. Then check it again, best from somewhere else."},
	{CheckBusy, ExitTryAgain, "The relay is reached but takes nothing now",
		"It is full or has too much to do. What it keeps is given out all the same.",
		"If it is yours, see `godwit relay status`: give it more with --max-disk. Else check it again later."},
	{CheckToken, ExitPermission, "The relay keeps mail only for those who have its token",
		"What comes before that works. The rest could not be tried.",
		"Ask its operator for a token, and give it with --token."},
	{CheckFails, ExitFailed, "The relay does not do all that a relay does",
		"The first step that failed is told with its reason. If the mail steps hold, it can be used all the same; others then find it, or are reached through it, less well.",
		"If it is yours, see its log and `godwit relay status`, and that all its addresses are reached from outside. Else use another."},

	{LimitsStay, ExitConfig, "The relay goes on with the limits that it had",
		"What it read is not to be used, so none of it is. It runs as before.",
		"Mend what the detail names, and reload again."},
	{BadToken, ExitUsage, "This is not a relay's token",
		"A token is what `godwit relay token` prints: 22 letters, digits, - and _ or more.",
		"Copy it whole from what the relay's operator gave you."},

	{RelayThere, ExitCannotMake, "There is something where the relay is to go already",
		"An import overwrites nothing, neither in a directory nor in a stream of `store`. Nothing was touched.",
		"Choose another --data, or another `?stream=` of the store; or remove what is there."},
	{BadExport, ExitFailed, "This is not a whole export of a relay",
		"It is not there, is cut short, was changed, or is something else. Nothing was made of it.",
		"Export the relay again, and see that all of the file arrives."},
	{FileThere, ExitCannotMake, "The file cannot be made",
		"It is there already, or the place is read-only, is full, or belongs to somebody else. Nothing was overwritten.",
		"Choose another file."},

	{ConfigSyntax, ExitConfig, "The configuration cannot be read",
		"Nothing was started, rather than starting with half of what you wanted.",
		"Mend the line that is named and run `godwit config check`."},
	{ConfigUnknown, ExitConfig, "The configuration has a key that does not exist",
		"Nothing was started: a mistyped key would otherwise be ignored in silence.",
		"Mend the line that is named; `godwit config show` lists every key."},
	{ConfigValue, ExitConfig, "The configuration has a value that cannot be used",
		"Nothing was started.",
		"Mend the value that is named and run `godwit config check`."},
	{ProfileInUse, ExitTryAgain, "Another process is using this profile",
		"Two processes on one profile would spoil each other's keys. Nothing was touched.",
		"Wait for the named process or end it, or choose another --profile."},
	{CannotMakeDir, ExitCannotMake, "A directory or file of the profile cannot be made",
		"The place is a file, is read-only, is full, or belongs to somebody else.",
		"Choose another --profile, or mend the permissions."},
	{ProfileNewer, ExitConfig, "This profile was made by a newer version",
		"This version does not know its form and has not touched it.",
		"Install the newer version again."},

	{Locked, ExitPermission, "This profile is locked",
		"Its keys open with a passphrase only, and none was given.",
		"Run the command on a terminal, or give the passphrase in GODWIT_PASSPHRASE."},
	{WrongPassphrase, ExitPermission, "The passphrase is wrong",
		"Nothing was touched, and you can try as often as you like.",
		"Try again. There is no way round a forgotten passphrase but your 24 words."},
	{KeyMissing, ExitPermission, "The key of this profile is not here",
		"The keys of a profile are sealed with a key that lies in the keyring of its computer or in a file beside them. A copy without it does not open.",
		"Use the profile where it was made, or run `godwit recover` with your 24 words in a new profile."},
	{VaultDamaged, ExitFailed, "The file with this profile's keys is damaged",
		"It is cut short or altered, and was not used.",
		"Restore vault.key from a copy, or run `godwit recover` with your 24 words in a new profile."},
	{KeyringSilent, ExitUnavailable, "The keyring of this computer does not answer",
		"The profile's key lies there. Nothing was touched.",
		"Unlock the keyring (log in to the desktop) and try again."},
	{NotLocked, ExitFailed, "This profile has no passphrase",
		"Nothing was changed.",
		"Set one with `godwit lock`."},
	{BadPassphrase, ExitUsage, "This passphrase cannot be used",
		"A passphrase is not empty, and at most 1024 bytes on one line. Nothing was changed.",
		"Choose another."},

	{StoreDamaged, ExitFailed, "The database of this profile is damaged or missing",
		"It is not there, or a part of it does not read as it was written. Nothing more was written to it.",
		"Restore the profile from a copy, and please report this with the detail."},
	{DiskFull, ExitCannotMake, "The disk is full",
		"The message or change could not be kept, so it was not done.",
		"Make room and try again."},

	{NodeSilent, ExitUnavailable, "The node of this profile does not answer",
		"A node has this profile open but did not answer in time.",
		"Wait a moment and try again; if it stays silent, end the process and start it anew."},
	{APIVersion, ExitUnavailable, "The node of this profile is of another version",
		"This command and the node that runs do not understand each other.",
		"Stop the node and start it again with the same version."},
	{BadRequest, ExitUsage, "The request was not understood",
		"The local API was asked for something that it does not have, or with values that it cannot read.",
		"See app/api/SPEC.md."},
	{EventsLost, ExitTryAgain, "Events came faster than they were read",
		"The stream was ended rather than skipping events in silence. No message is lost: all are in the history.",
		"Read the history with `godwit messages`, and listen again."},
	{NodeBusy, ExitTryAgain, "The node has too much to answer at once",
		"Programs of yours have as many streams of events, or as many large requests and answers, under way as it bears.",
		"Try again; if it stays so, end the program that does not read what it asked for."},
	{NodeStopped, ExitUnavailable, "The node was stopped",
		"It ended while the command was waiting for it. What was committed stays.",
		"Start it again, and look whether the command was done before you repeat it."},
	{NoWindow, ExitUnavailable, "This account has no window",
		"It is run by `godwit node` or another program without one.",
		"Start godwit-desktop."},
	{BadLink, ExitUsage, "This is not a link that Godwit knows",
		"A link begins with godwit: and is an invitation, or names a conversation. It was not opened.",
		"Copy the whole link, and try again."},

	{Unexpected, ExitFailed, "Something unexpected went wrong",
		"Godwit has no better word for it; the detail says what is known.",
		"Try again, and please report it with the detail if it stays."},
	{Interrupted, ExitInterrupted, "Interrupted",
		"You or the system ended the command.",
		"What was committed stays. A message is committed once `send` has begun to wait: see `godwit messages CONTACT` before you send it again."},
	{TimedOut, ExitTimedOut, "It took too long",
		"The time that was given for it is over.",
		"Try again, with a longer --timeout where the command has one."},
	{NotPermitted, ExitPermission, "The system does not permit this",
		"A file or directory belongs to somebody else or is read-only.",
		"Run the command as its owner, mend the permissions, or choose another --profile or --data."},
	{DemoFailed, ExitFailed, "The demo did not hold",
		"A step went wrong, so nothing after it was tried. Your own profile has nothing to do with it.",
		"See the step and the logs above; please report it with both if nobody killed its processes."},
	{BenchFailed, ExitFailed, "A benchmark could not be run to its end",
		"Its figure is not printed, rather than printing one that means nothing.",
		"See the detail, and run it again on a quieter machine."},
	{OutputLost, ExitFailed, "Standard output cannot be written",
		"What the command did is done and stays, but what it had to say is lost, in part or whole.",
		"Look at what is there before you repeat it: `godwit messages CONTACT`, `godwit invites`, `godwit contacts`. Then see why the output is full or closed."},
	{NoDisplay, ExitUnavailable, "There is no screen to show a window on",
		"Neither DISPLAY nor WAYLAND_DISPLAY is set. Nothing was started.",
		"Start it in a desktop session, or use `godwit` on the command line."},
}
