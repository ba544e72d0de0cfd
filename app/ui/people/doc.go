// Package people is how others come in and who they are: inviting, accepting, requests
// of strangers, the details of a contact with the safety number, and the trail of a
// message to one. Each part says in an interface or in functions what it needs, and is
// shown by whoever opens it.
package people
