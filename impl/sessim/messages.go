package sessim

import (
	"time"
)

// maxRecords bounds the records in memory, at some 200 bytes each.
const maxRecords = 1_000_000

// Tag is an email tag.
type Tag struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Header is a header field that the sender added.
type Header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Attachment is an attachment, without its content.
type Attachment struct {
	FileName    string `json:"fileName"`
	ContentType string `json:"contentType,omitempty"`
	Bytes       int    `json:"bytes"`
}

// Accepted is a message that the simulator accepted. Addresses are as they were sent, with display names encoded.
type Accepted struct {
	ProviderID       string       `json:"id"`
	MessageID        string       `json:"messageId"` // the value of the tag mailstack-message-id
	ReceivedAt       time.Time    `json:"receivedAt"`
	From             string       `json:"from"`
	To               []string     `json:"to"`
	Cc               []string     `json:"cc"`
	Bcc              []string     `json:"bcc"`
	ReplyTo          []string     `json:"replyTo"`
	Subject          string       `json:"subject"`
	HTML             string       `json:"html"`
	Text             string       `json:"text"`
	Headers          []Header     `json:"headers"`
	Tags             []Tag        `json:"tags"`
	Attachments      []Attachment `json:"attachments"`
	ConfigurationSet string       `json:"configurationSet"`
	Tenant           string       `json:"tenant,omitempty"`
	MailFrom         string       `json:"mailFrom"` // the domain of the envelope's sender
	// Suppressed are the recipients on the account's suppression list: SES accepts the message and does not deliver
	// it to them.
	Suppressed []string `json:"suppressed"`
}

func (a *Accepted) recipients() int { return len(a.To) + len(a.Cc) + len(a.Bcc) }

// Record is one accepted message, as far as accounting for lost and duplicate messages needs it.
type Record struct {
	Sequence   int64     `json:"sequence"` // from 1, in the order of acceptance
	ProviderID string    `json:"id"`
	MessageID  string    `json:"messageId"`
	Recipients int       `json:"recipients"`
	ReceivedAt time.Time `json:"receivedAt"`
}

// messages holds the newest messages in full, and a record of many more.
type messages struct {
	total      int64
	recipients int64
	keep       int
	kept       []*Accepted // a ring once it is full
	records    []Record    // oldest first
}

func newMessages(keep int) messages { return messages{keep: keep} }

func (m *messages) add(a Accepted) {
	if len(m.kept) < m.keep {
		m.kept = append(m.kept, &a)
	} else {
		m.kept[m.total%int64(m.keep)] = &a
	}
	m.total++
	m.recipients += int64(a.recipients())
	if len(m.records) >= maxRecords {
		// Drop a tenth at once, into a new array: the old one is freed, and copying is rare.
		m.records = append(make([]Record, 0, maxRecords), m.records[maxRecords/10:]...)
	}
	m.records = append(m.records, Record{
		Sequence: m.total, ProviderID: a.ProviderID, MessageID: a.MessageID,
		Recipients: a.recipients(), ReceivedAt: a.ReceivedAt,
	})
}

// newest returns up to limit messages that are kept in full, newest first.
func (m *messages) newest(limit int) []Accepted {
	limit = min(limit, len(m.kept))
	out := make([]Accepted, 0, limit)
	for i := range int64(limit) {
		out = append(out, *m.kept[(m.total-1-i)%int64(m.keep)])
	}
	return out
}

func (m *messages) find(providerID string) (Accepted, bool) {
	for _, a := range m.kept {
		if a.ProviderID == providerID {
			return *a, true
		}
	}
	return Accepted{}, false
}

// Messages returns the accepted messages that are kept in full, newest first.
func (s *Simulator) Messages() []Accepted {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.state.messages.newest(s.state.messages.keep)
}

func (s *Simulator) newest(limit int) []Accepted {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.state.messages.newest(limit)
}

// Message returns an accepted message by SES's id of it, if it is kept in full.
func (s *Simulator) Message(providerID string) (Accepted, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.state.messages.find(providerID)
}

// Records returns up to limit records of accepted messages whose sequence is above after, oldest first. Beyond a
// million messages the oldest records are dropped; Stats counts them all.
func (s *Simulator) Records(after int64, limit int) []Record {
	s.mu.RLock()
	defer s.mu.RUnlock()
	records := s.state.messages.records
	if len(records) == 0 {
		return []Record{}
	}
	skip := min(max(after+1-records[0].Sequence, 0), int64(len(records)))
	records = records[skip:]
	return append([]Record{}, records[:min(max(limit, 0), len(records))]...)
}

// Stats counts the accepted messages since the journal began.
type Stats struct {
	Accepted   int64 `json:"accepted"`
	Recipients int64 `json:"recipients"`
	// Distinct is the number of different message ids among the recorded messages. Duplicates is the number of
	// messages whose id an earlier message had.
	Distinct   int64 `json:"distinct"`
	Duplicates int64 `json:"duplicates"`
	Recorded   int64 `json:"recorded"`
}

// Stats counts the accepted messages. It reads every record, so it is not for a hot path.
func (s *Simulator) Stats() Stats {
	s.mu.RLock()
	total, recipients := s.state.messages.total, s.state.messages.recipients
	ids := make([]string, len(s.state.messages.records))
	for i := range ids {
		ids[i] = s.state.messages.records[i].MessageID
	}
	s.mu.RUnlock()
	out := Stats{Accepted: total, Recipients: recipients, Recorded: int64(len(ids))}
	seen := make(map[string]struct{}, len(ids))
	for _, id := range ids {
		if _, ok := seen[id]; ok && id != "" {
			out.Duplicates++
		}
		seen[id] = struct{}{}
	}
	delete(seen, "")
	out.Distinct = int64(len(seen))
	return out
}

// counts returns the counts of Stats that need no pass over the records.
func (s *Simulator) counts() Stats {
	s.mu.RLock()
	defer s.mu.RUnlock()
	m := &s.state.messages
	return Stats{Accepted: m.total, Recipients: m.recipients, Recorded: int64(len(m.records))}
}
