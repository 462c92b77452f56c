package command

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
	folderPostgres = "postgres"
	fileJournal    = "simulator.journal" // identities and mail of the simulated SES
	fileAPIKey     = "api-key"           // the API key that dev prints
	fileSecretKey  = "secret-key"        // in place of MAILSTACK_SECRET_KEY
	// While dev runs: the URL of its database, for the operator's commands, and of its simulated SES, for faults.
	fileDatabaseURL  = "database-url"
	fileSimulatorURL = "simulator-url"
)

// dataFolder is the folder in which dev keeps its data; only its owner can enter it (mode 0700).
type dataFolder string

type dataFolderFlags struct {
	DataDir dataFolder `env:"MAILSTACK_DATA_DIR" default:".mailstack" placeholder:"DIR" help:"Folder in which dev keeps its data. Default: .mailstack."`
}

func (folder dataFolder) path(name string) string { return filepath.Join(string(folder), name) }

func (folder dataFolder) create() error {
	if err := os.MkdirAll(string(folder), 0o700); err != nil {
		return fmt.Errorf("create the data folder: %w", err)
	}
	return nil
}

// read returns the trimmed content of a small file, or an empty string if there is none.
func (folder dataFolder) read(name string) (string, error) {
	content, err := os.ReadFile(folder.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the data folder: %w", err)
	}
	return strings.TrimSpace(string(content)), nil
}

// write replaces a small file atomically; only its owner can read it (mode 0600).
func (folder dataFolder) write(name, content string) error {
	file, err := os.CreateTemp(string(folder), name+"-") // 0600
	if err != nil {
		return fmt.Errorf("write into the data folder: %w", err)
	}
	_, err = file.WriteString(content + "\n")
	err = errors.Join(err, file.Close())
	if err == nil {
		err = os.Rename(file.Name(), folder.path(name))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write into the data folder: %w", err), os.Remove(file.Name()))
	}
	return nil
}

func (folder dataFolder) remove(name string) error {
	if err := os.Remove(folder.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove from the data folder: %w", err)
	}
	return nil
}
