package store_test

import (
	"io/fs"
	"sync"
	"testing"

	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/store/storetest"
	"github.com/voostack/mailstack/schema"
)

func TestMigrateFromFourProcessesAtOnce(t *testing.T) {
	t.Parallel()
	url := storetest.EmptyURL(t)
	s := storetest.Open(t, url)
	have, want, err := s.SchemaVersion(t.Context())
	if err != nil || have != 0 || want < 7 {
		t.Fatalf("before: have %d, want %d, error %v", have, want, err)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if err := store.Migrate(t.Context(), url, nil); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	have, want, err = s.SchemaVersion(t.Context())
	if err != nil || have != want {
		t.Errorf("after: have %d, want %d, error %v", have, want, err)
	}
	var versions, partitions int
	err = s.Pool().QueryRow(t.Context(), `SELECT (SELECT count(*) FROM goose_db_version WHERE version_id > 0),
		(SELECT count(*) FROM pg_inherits WHERE inhparent = 'emails'::regclass)`).Scan(&versions, &partitions)
	if err != nil {
		t.Fatal(err)
	}
	files, err := fs.Glob(schema.Files, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	if versions != len(files) {
		t.Errorf("%d migrations were recorded, not %d", versions, len(files))
	}
	if partitions != 5 {
		t.Errorf("emails has %d partitions, not 5", partitions)
	}
}

func TestMigrateLeavesANewerSchemaAlone(t *testing.T) {
	t.Parallel()
	url := storetest.URL(t)
	s := storetest.Open(t, url)
	if _, err := s.Pool().Exec(t.Context(), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, true)"); err != nil {
		t.Fatal(err)
	}
	if err := store.Migrate(t.Context(), url, nil); err != nil {
		t.Fatal(err)
	}
	if have, want, err := s.SchemaVersion(t.Context()); err != nil || have != 9999 || want >= have {
		t.Errorf("have %d, want %d, error %v", have, want, err)
	}
}

func TestMigrateSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	err := store.Migrate(t.Context(), "postgres://nobody:hidden-word@127.0.0.1:1/none?sslmode=disable", nil)
	if !store.IsUnavailable(err) {
		t.Errorf("got %v", err)
	}
}
