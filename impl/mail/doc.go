// Package mail holds what is true of mail whoever sends it, without any I/O:
//
//   - address.go: one address and how it is written ([Address], [ParseAddress])
//   - list.go: several addresses in one field ([ParseList], [FormatList])
//   - domain.go: names of the DNS ([ParseDomain], [ParseLabel], [Parents])
//   - header.go: text that is bound for a header ([CheckHeaderText])
//   - tags.go: the tags of a message ([ParseTags])
//   - outcome.go: what can become of a message ([Outcome])
//
// Errors are for the author of a request and complete a sentence that starts
// with the name of the field ("has more than one @"). They give the position of
// the faulty part and never repeat an address, so they are safe to log.
package mail
