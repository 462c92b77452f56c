package components

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/impl/auth"
	"github.com/voostack/mailstack/impl/organization"
	"github.com/voostack/mailstack/impl/store"
)

// Process is the environment of a command: arguments, output, clock and randomness.
type Process struct {
	Arguments      []string // without the name of the program
	Stdout, Stderr io.Writer
	Spec           []byte // openapi.yaml
	Now            func() time.Time
	Random         io.Reader // fit for secrets, and safe for concurrent use
	// LimitMemory sets the size of the heap from which the collector runs as often as it must. Nil where it is not ours to set.
	LimitMemory func(bytes int64)
	// Again receives the signals that come after the one which ended the context, until ReleaseSignals is called: from then
	// on they have their usual effect. Nil means that they always have.
	Again          <-chan os.Signal
	ReleaseSignals func()
}

// releaseSignals gives signals back their usual effect.
func (process *Process) releaseSignals() {
	if process.ReleaseSignals != nil {
		process.ReleaseSignals()
	}
}

// NewID returns a new version-7 UUID. It panics when the source of randomness fails, without which nothing is safe.
func (process *Process) NewID() uuid.UUID { return uuid.Must(uuid.NewV7FromReader(process.Random)) }

// Printf writes to the standard output.
func (process *Process) Printf(format string, values ...any) error {
	if _, err := fmt.Fprintf(process.Stdout, format, values...); err != nil {
		return fmt.Errorf("write to the standard output: %w", err)
	}
	return nil
}

// UsageError is a mistake in the arguments or the environment.
type UsageError struct{ error }

// Unwrap returns the wrapped error.
func (e UsageError) Unwrap() error { return e.error }

// Usagef returns a [UsageError].
func Usagef(format string, values ...any) error { return UsageError{fmt.Errorf(format, values...)} }

// PrintJSON writes a value to the standard output, for scripts.
func (process *Process) PrintJSON(value any) error {
	encoder := json.NewEncoder(process.Stdout)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		return fmt.Errorf("write to the standard output: %w", err)
	}
	return nil
}

// PrintTable prints rows below their headings, in columns.
func (process *Process) PrintTable(rows ...[]string) error {
	table := tabwriter.NewWriter(process.Stdout, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		if _, err := fmt.Fprintln(table, strings.Join(row, "\t")); err != nil {
			return fmt.Errorf("write to the standard output: %w", err)
		}
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("write to the standard output: %w", err)
	}
	return nil
}

// Organizations returns the operator's operations on organizations.
func (process *Process) Organizations(database *store.Store) organization.Organizations {
	return organization.Organizations{Store: database, Now: process.Now, NewID: process.NewID}
}

// Keys returns the operations that create, list and revoke API keys.
func (process *Process) Keys(database *store.Store) auth.Keys {
	return auth.Keys{Store: database, Now: process.Now, NewID: process.NewID, Random: process.Random}
}
