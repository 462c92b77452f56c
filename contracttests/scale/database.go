package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/apikey"
	"github.com/voostack/mailstack/impl/devdb"
	"github.com/voostack/mailstack/impl/rest"
	"github.com/voostack/mailstack/impl/sealed"
	"github.com/voostack/mailstack/impl/spec"
	"github.com/voostack/mailstack/impl/store"
)

// connections is small, so that each connection makes every kind of request more often than Postgres needs to
// settle on a plan.
const connections = 2

// database is a filled database with a server in front of it.
type database struct {
	rows   int
	store  *store.Store
	server *httptest.Server
	key    apikey.Key
	// last maps the title of a case to the cursor of its last page; empty means the first page.
	last map[string]string
}

// open makes a database and its server. It looks for the last pages while the lists are short: a cursor stays
// valid, and leads to the same rows, however many rows come before them.
func open(ctx context.Context, postgres *devdb.Server, document []byte, rows int, cases []listCase) (d *database, err error) {
	d = &database{rows: rows, last: map[string]string{}}
	name := fmt.Sprintf("rows_%d", rows)
	if err := execute(ctx, postgres.DSN("postgres"), func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
		if err == nil {
			_, err = conn.Exec(ctx, "CREATE DATABASE "+name)
		}
		return err
	}); err != nil {
		return nil, fmt.Errorf("create a database: %w", err)
	}
	url := postgres.DSN(name)
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	if err := store.Migrate(ctx, url, log); err != nil {
		return nil, err
	}
	if d.store, err = store.Open(ctx, store.Config{URL: url, MaxConns: connections, Name: "scale", Log: log}); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			d.close()
		}
	}()
	if err := d.serve(document, log); err != nil {
		return nil, err
	}
	err = execute(ctx, url, func(conn *pgx.Conn) error {
		if err := prepare(ctx, conn, rows); err != nil {
			return err
		}
		if err := d.createKey(ctx); err != nil {
			return err
		}
		if err := fill(ctx, conn, true); err != nil {
			return err
		}
		if err := d.findLastPages(ctx, cases); err != nil {
			return err
		}
		return fill(ctx, conn, false)
	})
	if err != nil {
		return nil, err
	}
	return d, d.findLastPages(ctx, cases)
}

func execute(ctx context.Context, url string, work func(conn *pgx.Conn) error) (err error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return fmt.Errorf("connect to the database: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	return work(conn)
}

// serve runs the server without the parts that lists do not need.
func (d *database) serve(document []byte, log *slog.Logger) error {
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		return fmt.Errorf("make a secret key: %w", err)
	}
	sealer, err := sealed.NewSealer(rand.Reader, secret)
	if err != nil {
		return fmt.Errorf("make a sealer: %w", err)
	}
	read, err := spec.Prepare(document)
	if err != nil {
		return err
	}
	api, err := rest.New(rest.Config{
		Spec: read, Store: d.store, Sealer: sealer, Random: rand.Reader, Log: log,
		Now: time.Now, NewID: func() uuid.UUID { return uuid.Must(uuid.NewV7()) },
	})
	if err != nil {
		return fmt.Errorf("set up the API: %w", err)
	}
	d.server = httptest.NewServer(api)
	return nil
}

func (d *database) createKey(ctx context.Context) error {
	var err error
	if d.key, err = apikey.New(rand.Reader); err != nil {
		return fmt.Errorf("make an API key: %w", err)
	}
	_, err = d.store.Queries().APIKeyInsert(ctx, db.APIKeyInsertParams{
		ID: uuid.MustParse(key), OrganizationID: uuid.MustParse(organization), Name: "scale", Scopes: apikey.Scopes(),
		Prefix: d.key.Prefix, SecretHash: d.key.Hash(), CreatedAt: time.Now(),
	})
	if err != nil {
		return fmt.Errorf("store the API key: %w", err)
	}
	return nil
}

func (d *database) close() {
	if d.server != nil {
		d.server.Close()
	}
	d.store.Close()
}
