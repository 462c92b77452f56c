package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"text/tabwriter"
)

// most is the number of connections at which the ratios are taken; many is one at which requests wait for each other.
const (
	most = 64
	many = 256
)

// report holds the figures of a run; the JSON file is its encoding.
type report struct {
	Machine map[string]string `json:"machine"`
	// Singles maps a number of connections to the figures of grouped, alone, stub and pgbench.
	Singles map[string]map[string]figures `json:"singles,omitempty"`
	Batches batches                       `json:"batches,omitzero"`
	Sends   sendFigures                   `json:"sends,omitzero"`
	Events  *eventFigures                 `json:"events,omitempty"`
	// Deliveries are to webhooks.
	Deliveries deliveryFigures  `json:"deliveries,omitzero"`
	Pipeline   *pipelineFigures `json:"pipeline,omitempty"`
	// Cost is at most connections, CostOfMany at many.
	Cost       cost               `json:"cost,omitzero"`
	CostOfMany cost               `json:"costOfMany,omitzero"`
	Large      largeFigures       `json:"large,omitzero"`
	Rows       rowFigures         `json:"rows,omitzero"`
	Ratios     map[string]float64 `json:"ratios"`
}

// batches are in emails per second; their latencies are of whole batches.
type batches struct {
	Server  figures `json:"server"`
	Pgbench figures `json:"pgbench"`
}

type sendFigures struct {
	PerSecond float64 `json:"perSecond"`
	// Hundred is the rate from a backlog of a hundred organizations.
	Hundred  float64         `json:"hundredOrganizations"`
	Snapshot snapshotFigures `json:"besideSnapshot"`
	Idle     latency         `json:"idle"`
	Busy     latency         `json:"busy"`
}

// latency is the time from acceptance to SES, in milliseconds, while PerSecond messages a second were accepted.
type latency struct {
	PerSecond float64 `json:"acceptedPerSecond"`
	P50       float64 `json:"p50"`
	P99       float64 `json:"p99"`
}

// deliveryFigures are deliveries a second to endpoints that answer after 30 ms; and the time from an event to the request at
// an endpoint, alone and beside forty of two organizations that hang.
type deliveryFigures struct {
	One     rateAndCost `json:"one"`
	Hundred rateAndCost `json:"hundred"`
	Alone   latency     `json:"alone"`
	Beside  latency     `json:"beside"`
}

// rateAndCost is a rate, and the processor time that the worker and Postgres take for one, in microseconds.
type rateAndCost struct {
	PerSecond float64 `json:"perSecond"`
	Worker    float64 `json:"workerMicroseconds"`
	Postgres  float64 `json:"postgresMicroseconds"`
}

// cost is what one accepted email costs under full load, in microseconds of processor time and allocations; and the
// server's peak memory.
type cost struct {
	Server   float64 `json:"serverMicroseconds"`
	Postgres float64 `json:"postgresMicroseconds"`
	// Client is the program that sends: the machine has fast and slow phases, in which it changes with the others.
	Client      float64 `json:"clientMicroseconds"`
	Allocations float64 `json:"allocations"`
	// Logged is in bytes of the log of Postgres (WAL).
	Logged      float64 `json:"loggedBytes"`
	ResidentMiB float64 `json:"residentMiB"`
	// Instructions are the server's; zero means the machine has no counter.
	Instructions float64 `json:"instructions,omitempty"`
}

// largeFigures describe a server that receives 64 batches of 20 MiB at the same time, beside small sends.
type largeFigures struct {
	ResidentMiB float64 `json:"residentMiB"`
	Accepted    int     `json:"accepted"`
	Refused     int     `json:"refused"`
	Small       figures `json:"small"`
}

type rowFigures struct {
	Messages int     `json:"messages"`
	Empty    figures `json:"empty"`
	Full     figures `json:"full"`
}

func (r *report) fact(name, value string) {
	if r.Machine == nil {
		r.Machine = map[string]string{"go": runtime.Version(), "processors": strconv.Itoa(runtime.NumCPU())}
	}
	r.Machine[name] = value
}

func (r *report) singles(connections int, found map[string]figures) {
	if r.Singles == nil {
		r.Singles = map[string]map[string]figures{}
	}
	r.Singles[strconv.Itoa(connections)] = found
}

// aim is a ratio or figure and its target.
type aim struct {
	name  string
	value float64
	// least is the lower bound, or the upper bound with atMost.
	least  float64
	atMost bool
}

func (a aim) reached() bool {
	if a.atMost {
		return a.value <= a.least
	}
	return a.value >= a.least
}

// aims returns the targets for everything that was measured.
func (r *report) aims() []aim {
	var all []aim
	if full, measured := r.Singles[strconv.Itoa(most)]; measured {
		grouped, alone, stub, pgbench := full["grouped"], full["alone"], full["stub"], full["pgbench"]
		all = append(
			all,
			aim{name: "grouped : pgbench naive", value: grouped.PerSecond / pgbench.PerSecond, least: 6},
			aim{name: "groups of one : pgbench naive", value: alone.PerSecond / pgbench.PerSecond, least: 0.7},
			aim{name: "grouped : groups of one", value: grouped.PerSecond / alone.PerSecond, least: 7},
			aim{name: "grouped p99 : groups of one p50", value: grouped.P99 / alone.P50, least: 1, atMost: true},
			aim{name: "grouped : write stubbed", value: grouped.PerSecond / stub.PerSecond, least: 0.45},
			aim{name: "accepted per second, 64 connections", value: grouped.PerSecond, least: 16_500},
			aim{name: "server time : client time, 64 connections", value: r.Cost.Server / r.Cost.Client, least: 3.05, atMost: true},
			aim{name: "resident MiB, singles", value: r.Cost.ResidentMiB, least: 100, atMost: true},
		)
	}
	if found, measured := r.Singles[strconv.Itoa(many)]; measured {
		all = append(all, aim{name: "accepted per second, 256 connections", value: found["grouped"].PerSecond, least: 23_000})
	}
	if r.Batches.Pgbench.PerSecond > 0 {
		all = append(all, aim{name: "batches : bare insert", value: r.Batches.Server.PerSecond / r.Batches.Pgbench.PerSecond, least: 0.4})
	}
	if r.Sends.PerSecond > 0 {
		all = append(
			all,
			aim{name: "worker, sends per second of one organization", value: r.Sends.PerSecond, least: 7500},
			aim{name: "worker, sends per second of a hundred", value: r.Sends.Hundred, least: 5500},
			aim{name: "sends per second beside an open snapshot", value: r.Sends.Snapshot.PerSecond, least: 5000},
			aim{name: "mean claim beside an open snapshot, ms", value: r.Sends.Snapshot.Claim, least: 2, atMost: true},
		)
	}
	if r.Events != nil {
		all = append(all, r.Events.aims()...)
	}
	if r.Deliveries.One.PerSecond > 0 {
		all = append(
			all,
			aim{name: "deliveries per second, one endpoint of 30 ms", value: r.Deliveries.One.PerSecond, least: 1200},
			aim{name: "deliveries per second, a hundred of 30 ms", value: r.Deliveries.Hundred.PerSecond, least: 6000},
			aim{name: "p99 beside 40 endpoints that hang : alone", value: r.Deliveries.Beside.P99 / r.Deliveries.Alone.P99, least: 2, atMost: true},
		)
	}
	if r.Pipeline != nil {
		all = append(
			all,
			aim{name: "pipeline, messages per second", value: r.Pipeline.PerSecond, least: 1000},
			aim{name: "updates of emails that write to no index, %", value: r.Pipeline.InPlace.Emails, least: 80},
			aim{name: "updates of recipients that write to no index, %", value: r.Pipeline.InPlace.Recipients, least: 80},
		)
	}
	if r.Large.Accepted > 0 {
		all = append(all, aim{name: "resident MiB, 64 batches of 20 MiB", value: r.Large.ResidentMiB, least: 1024, atMost: true})
	}
	if r.Rows.Messages > 0 {
		name := fmt.Sprintf("among %d messages : among none", r.Rows.Messages)
		all = append(all, aim{name: name, value: r.Rows.Full.PerSecond / r.Rows.Empty.PerSecond, least: 0.85})
	}
	return all
}

// write prints the tables and stores the figures as JSON.
func (r *report) write(to io.Writer, path string) error {
	r.Ratios = map[string]float64{}
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	line := func(format string, values ...any) { _, _ = fmt.Fprintf(table, format+"\n", values...) } // Flush reports the error
	for _, name := range []string{"processors", "go", "server_version", "fsync", "full_page_writes", "synchronous_commit"} {
		line("%s\t%s", name, r.Machine[name])
	}
	r.writeSingles(line)
	if r.Batches.Server.PerSecond > 0 {
		line("\nbatches of 100\temails/s\tp50 ms\tp99 ms")
		line("server\t%.0f\t%.1f\t%.1f", r.Batches.Server.PerSecond, r.Batches.Server.P50, r.Batches.Server.P99)
		line("bare insert\t%.0f\t%.1f\t", r.Batches.Pgbench.PerSecond, r.Batches.Pgbench.P50)
	}
	if r.Sends.PerSecond > 0 {
		line("\nworker\tper second\tp50 ms\tp99 ms")
		line("backlog of one organization\t%.0f", r.Sends.PerSecond)
		line("backlog of a hundred\t%.0f", r.Sends.Hundred)
		line("beside an open snapshot, after %d sends; mean claim %.1f ms\t%.0f", r.Sends.Snapshot.After, r.Sends.Snapshot.Claim, r.Sends.Snapshot.PerSecond)
		line("accepted to SES, idle\t%.0f\t%.1f\t%.1f", r.Sends.Idle.PerSecond, r.Sends.Idle.P50, r.Sends.Idle.P99)
		line("accepted to SES, busy\t%.0f\t%.1f\t%.1f", r.Sends.Busy.PerSecond, r.Sends.Busy.P50, r.Sends.Busy.P99)
	}
	if r.Events != nil {
		r.Events.write(line)
	}
	r.writeDeliveries(line)
	if r.Pipeline != nil {
		r.Pipeline.write(line)
	}
	if r.Large.Accepted > 0 {
		line("\n64 batches of 20 MiB\taccepted\trefused\tsmall/s\tsmall p50 ms\tsmall p99 ms\tresident MiB")
		line("\t%d\t%d\t%.0f\t%.1f\t%.1f\t%.0f", r.Large.Accepted, r.Large.Refused, r.Large.Small.PerSecond, r.Large.Small.P50,
			r.Large.Small.P99, r.Large.ResidentMiB)
	}
	if r.Rows.Messages > 0 {
		line("\namong messages\tper second\tp50 ms\tp99 ms")
		line("0\t%.0f\t%.1f\t%.1f", r.Rows.Empty.PerSecond, r.Rows.Empty.P50, r.Rows.Empty.P99)
		line("%d\t%.0f\t%.1f\t%.1f", r.Rows.Messages, r.Rows.Full.PerSecond, r.Rows.Full.P50, r.Rows.Full.P99)
	}
	line("\nratio or figure\tfound\twanted\t")
	for _, a := range r.aims() {
		r.Ratios[a.name] = a.value
		relation, verdict := "at least", "reached"
		if a.atMost {
			relation = "at most"
		}
		if !a.reached() {
			verdict = "MISSED"
		}
		line("%s\t%.2f\t%s %g\t%s", a.name, a.value, relation, a.least, verdict)
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("print the figures: %w", err)
	}
	return r.save(path)
}

func (r *report) writeSingles(line func(string, ...any)) {
	if len(r.Singles) == 0 {
		return
	}
	line("\nsingle sends\tconnections\tper second\tp50 ms\tp99 ms")
	for _, connections := range []int{1, 16, most, many} {
		for _, name := range []string{"grouped", "alone", "stub", "pgbench"} {
			found, measured := r.Singles[strconv.Itoa(connections)][name]
			if !measured {
				continue
			}
			line("%s\t%d\t%.0f\t%.2f\t%.2f", name, connections, found.PerSecond, found.P50, found.P99)
		}
	}
	line("\nper accepted email\tserver us\tPostgres us\tclient us\tserver : client\tallocations\tinstructions\tWAL bytes\tresident MiB")
	for _, one := range []struct {
		connections int
		cost
	}{{most, r.Cost}, {many, r.CostOfMany}} {
		instructions := "no counter"
		if one.Instructions > 0 {
			instructions = strconv.FormatFloat(one.Instructions, 'f', 0, 64)
		}
		line("grouped, %d connections\t%.0f\t%.0f\t%.0f\t%.2f\t%.0f\t%s\t%.0f\t%.0f", one.connections, one.Server, one.Postgres, one.Client,
			one.Server/one.Client, one.Allocations, instructions, one.Logged, one.ResidentMiB)
	}
}

func (r *report) writeDeliveries(line func(string, ...any)) {
	found := r.Deliveries
	if found.One.PerSecond == 0 {
		return
	}
	line("\ndeliveries to endpoints of 30 ms\tper second\tworker us\tPostgres us")
	line("one endpoint\t%.0f\t%.0f\t%.0f", found.One.PerSecond, found.One.Worker, found.One.Postgres)
	line("a hundred endpoints\t%.0f\t%.0f\t%.0f", found.Hundred.PerSecond, found.Hundred.Worker, found.Hundred.Postgres)
	line("\nevent to request\tper second\tp50 ms\tp99 ms")
	line("alone\t%.0f\t%.1f\t%.1f", found.Alone.PerSecond, found.Alone.P50, found.Alone.P99)
	line("beside 40 that hang\t%.0f\t%.1f\t%.1f", found.Beside.PerSecond, found.Beside.P50, found.Beside.P99)
}

func (r *report) save(path string) error {
	content, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the figures: %w", err)
	}
	if err := os.WriteFile(path, append(content, '\n'), 0o600); err != nil {
		return fmt.Errorf("store the figures: %w", err)
	}
	return nil
}
