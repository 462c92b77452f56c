// Package datafolder is the folder in which "mailstack dev" keeps its data, and where other commands find its database.
package datafolder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Names in the data folder.
const (
	Postgres  = "postgres"
	Journal   = "simulator.journal" // identities and mail of the simulated SES
	APIKey    = "api-key"           // the API key that dev prints
	SecretKey = "secret-key"        // in place of MAILSTACK_SECRET_KEY
	// While dev runs: the URL of its database, for the operator's commands, and of its simulated SES, for faults.
	DatabaseURL  = "database-url"
	SimulatorURL = "simulator-url"
)

// Folder is the folder in which dev keeps its data; only its owner can enter it (mode 0700).
type Folder string

// Flags find the data folder.
type Flags struct {
	DataDir Folder `env:"MAILSTACK_DATA_DIR" default:".mailstack" placeholder:"DIR" help:"Folder in which dev keeps its data. Default: .mailstack."`
}

// Path returns the path of a file in the folder.
func (folder Folder) Path(name string) string { return filepath.Join(string(folder), name) }

// Create makes the folder unless it is there.
func (folder Folder) Create() error {
	if err := os.MkdirAll(string(folder), 0o700); err != nil {
		return fmt.Errorf("create the data folder: %w", err)
	}
	return nil
}

// Read returns the trimmed content of a small file, or an empty string if there is none.
func (folder Folder) Read(name string) (string, error) {
	content, err := os.ReadFile(folder.Path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the data folder: %w", err)
	}
	return strings.TrimSpace(string(content)), nil
}

// Write replaces a small file atomically; only its owner can read it (mode 0600).
func (folder Folder) Write(name, content string) error {
	file, err := os.CreateTemp(string(folder), name+"-") // 0600
	if err != nil {
		return fmt.Errorf("write into the data folder: %w", err)
	}
	_, err = file.WriteString(content + "\n")
	err = errors.Join(err, file.Close())
	if err == nil {
		err = os.Rename(file.Name(), folder.Path(name))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write into the data folder: %w", err), os.Remove(file.Name()))
	}
	return nil
}

// Remove removes a file, if there is one.
func (folder Folder) Remove(name string) error {
	if err := os.Remove(folder.Path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove from the data folder: %w", err)
	}
	return nil
}
