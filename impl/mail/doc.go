// Package mail holds the rules of mail that need no I/O: addresses, domains, header text, tags, statuses.
//
//   - address.go: one address and how it is written ([Address], [ParseAddress])
//   - list.go: several addresses in one field ([ParseList], [FormatList])
//   - domain.go: DNS names ([ParseDomain], [ParseLabel], [Parents])
//   - header.go: text for a header or a body ([CheckHeaderText], [HasControl])
//   - tags.go: the tags of a message ([ParseTags])
//   - outcome.go: the outcomes of a message ([Outcome]); event_type.go: the types of its events
//
// Errors are for the author of a request and complete a sentence that starts with the name of the field ("has more
// than one @"). They give the position of the faulty part and never repeat an address, so they are safe to log.
package mail
