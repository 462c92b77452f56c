package sessim

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/voostack/mailstack/impl/snssim"
)

// entry is one change of the simulator's state, which is one line of the journal. Exactly one of the members below
// At is set.
type entry struct {
	At                      time.Time         `json:"at"`
	Identity                *identity         `json:"identity,omitempty"`
	IdentityDeleted         string            `json:"identityDeleted,omitempty"`
	ConfigurationSet        *configurationSet `json:"configurationSet,omitempty"`
	ConfigurationSetDeleted string            `json:"configurationSetDeleted,omitempty"`
	Suppressed              *suppressed       `json:"suppressed,omitempty"`
	SuppressedDeleted       string            `json:"suppressedDeleted,omitempty"`
	Account                 *account          `json:"account,omitempty"`
	Tenant                  *tenant           `json:"tenant,omitempty"`
	Accepted                *Accepted         `json:"accepted,omitempty"`
	Topics                  *snssim.Change    `json:"topics,omitempty"`
	// Unposted replaces the list of published events that are still to be posted.
	Unposted *[]snssim.Published `json:"unposted,omitempty"`
}

func (e entry) line() ([]byte, error) {
	line, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode a journal entry: %w", err)
	}
	return append(line, '\n'), nil
}

// state is everything that the journal restores.
type state struct {
	identities        map[string]identity
	configurationSets map[string]configurationSet
	suppressed        map[string]suppressed
	tenants           map[string]tenant
	account           account
	rate              bucket
	day               window
	messages          messages
	// topics keeps a state of its own; only a replay changes it here.
	topics    *snssim.Simulator
	replaying bool
	unposted  []snssim.Published
}

func newState(c Config) state {
	a := account{
		Max24Hour:         c.Max24Hour,
		MaxPerSecond:      c.MaxPerSecond,
		SendingEnabled:    true,
		EnforcementStatus: "HEALTHY",
		ProductionAccess:  true,
	}
	if a.Max24Hour == 0 {
		a.Max24Hour = unlimited
	}
	if a.MaxPerSecond == 0 {
		a.MaxPerSecond = defaultMaxPerSecond
	}
	keep := c.KeepBodies
	if keep <= 0 {
		keep = defaultKeepBodies
	}
	return state{
		identities:        map[string]identity{},
		configurationSets: map[string]configurationSet{},
		suppressed:        map[string]suppressed{},
		tenants:           map[string]tenant{},
		account:           a,
		messages:          newMessages(keep),
	}
}

func (s *state) apply(e entry) {
	switch {
	case e.Identity != nil:
		s.identities[e.Identity.Name] = *e.Identity
	case e.IdentityDeleted != "":
		delete(s.identities, e.IdentityDeleted)
	case e.ConfigurationSet != nil:
		s.configurationSets[e.ConfigurationSet.Name] = *e.ConfigurationSet
	case e.ConfigurationSetDeleted != "":
		delete(s.configurationSets, e.ConfigurationSetDeleted)
	case e.Suppressed != nil:
		s.suppressed[e.Suppressed.Address] = *e.Suppressed
	case e.SuppressedDeleted != "":
		delete(s.suppressed, e.SuppressedDeleted)
	case e.Account != nil:
		s.account = *e.Account
	case e.Tenant != nil:
		s.tenants[e.Tenant.Name] = *e.Tenant
	case e.Unposted != nil:
		s.unposted = *e.Unposted
	case e.Topics != nil:
		if s.replaying {
			s.topics.Restore(*e.Topics)
		}
	case e.Accepted != nil:
		s.day.add(e.At, e.Accepted.recipients())
		s.messages.add(*e.Accepted)
	}
}

// journal is an append-only file of entries, one JSON document per line.
type journal struct {
	file   *os.File
	size   int64
	broken error // set when the file may end in the middle of a line
}

// openJournal replays the entries of a file and opens it for appending. It removes an incomplete last line: no
// response was sent for its message.
func openJournal(path string, apply func(entry)) (*journal, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	size, err := replay(file, apply)
	if err == nil {
		err = file.Truncate(size)
	}
	if err == nil {
		_, err = file.Seek(size, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &journal{file: file, size: size}, nil
}

// replay applies every complete line and returns their total length.
func replay(file io.Reader, apply func(entry)) (int64, error) {
	reader := bufio.NewReaderSize(file, 1<<20)
	var size int64
	for number := 1; ; number++ {
		line, err := reader.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return size, nil
		}
		if err != nil {
			return size, err
		}
		var e entry
		if err := json.Unmarshal(line, &e); err != nil {
			return size, fmt.Errorf("line %d: %w", number, err)
		}
		apply(e)
		size += int64(len(line))
	}
}

// append writes one line in a single write. If that fails, it removes the part that was written, so that the next
// line does not continue it.
func (j *journal) append(line []byte) error {
	if j.broken != nil {
		return j.broken
	}
	n, err := j.file.Write(line)
	if err == nil {
		j.size += int64(n)
		return nil
	}
	err = fmt.Errorf("write the journal: %w", err)
	if undo := j.file.Truncate(j.size); undo != nil {
		j.broken = errors.Join(err, undo)
		return j.broken
	}
	if _, undo := j.file.Seek(j.size, io.SeekStart); undo != nil {
		j.broken = errors.Join(err, undo)
		return j.broken
	}
	return err
}

func (j *journal) close() error {
	if err := j.file.Close(); err != nil {
		return fmt.Errorf("close the journal: %w", err)
	}
	return nil
}
