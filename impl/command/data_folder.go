package command

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// What is in the data folder.
const (
	folderPostgres = "postgres"
	fileJournal    = "simulator.journal" // what the simulated SES knows and received
	fileAPIKey     = "api-key"           // the key that dev prints
	fileSecretKey  = "secret-key"        // what MAILSTACK_SECRET_KEY is elsewhere
	// While dev runs: where its database is, for the operator's commands, and its simulated SES, for faults.
	fileDatabaseURL  = "database-url"
	fileSimulatorURL = "simulator-url"
)

// dataFolder is where dev keeps everything; nobody else may look into it.
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

// read returns the content of a small file; nothing when there is none.
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

// write puts a small file into place as a whole or not at all, for nobody else to read.
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
