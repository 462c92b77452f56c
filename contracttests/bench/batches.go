package main

import (
	"context"

	"github.com/voostack/mailstack/impl/devdb"
)

// batchConnections is the number of connections on both sides; more make neither of them faster.
const batchConnections = 8

// batches compares batches of a hundred with a bare insert of the same rows.
func (w *world) batches(ctx context.Context) error {
	at, err := w.serve(ctx, "batches", devdb.Database)
	if err != nil {
		return err
	}
	defer at.Kill()
	load, err := w.drive(ctx, at, batchConnections, batchPath, w.batch)
	if err != nil {
		return err
	}
	if err := at.Stop(); err != nil {
		return err
	}
	perSecond, latency, err := w.pgbench(ctx, bare, batchConnections)
	if err != nil {
		return err
	}
	w.report.Batches = batches{
		Server:  figures{load.PerSecond() * perBatch, milliseconds(load.Percentile(50)), milliseconds(load.Percentile(99))},
		Pgbench: figures{PerSecond: perSecond * perBatch, P50: milliseconds(latency)},
	}
	return nil
}
