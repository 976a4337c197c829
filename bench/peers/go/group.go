package main

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

var errOvertaken = errors.New("another request with the same key is under way")

// As many as the Rust service has.
const (
	committers = 2
	mostOfOne  = 256
)

type job struct {
	create *created
	answer chan<- outcome
}

type outcome struct {
	found *first
	err   error
}

// group commits what waits at the same time together.
type group struct {
	pool  *pgxpool.Pool
	sql   statements
	relay *relay
	queue chan job
}

func newGroup(ctx context.Context, pool *pgxpool.Pool, sql statements, relay *relay) *group {
	g := &group{pool: pool, sql: sql, relay: relay, queue: make(chan job, 1024)}
	for range committers {
		go g.run(ctx)
	}
	return g
}

func (g *group) write(ctx context.Context, create *created) (*first, error) {
	answer := make(chan outcome, 1)
	select {
	case g.queue <- job{create, answer}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case outcome := <-answer:
		return outcome.found, outcome.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (g *group) run(ctx context.Context) {
	for next := range g.queue {
		jobs := []job{next}
	fill:
		for len(jobs) < mostOfOne {
			select {
			case more := <-g.queue:
				jobs = append(jobs, more)
			default:
				break fill
			}
		}
		found, err := g.commit(ctx, jobs)
		for at, job := range jobs {
			if err != nil {
				job.answer <- outcome{nil, err}
			} else {
				job.answer <- outcome{found[at], nil}
			}
		}
	}
}

// commit answers all, or none. (The Rust service tries one by one what failed together; nothing fails in the benchmark.)
func (g *group) commit(ctx context.Context, jobs []job) ([]*first, error) {
	found := make([]*first, len(jobs))
	err := pgx.BeginFunc(ctx, g.pool, func(tx pgx.Tx) error {
		all := newColumns(jobs)
		rows, err := tx.Query(ctx, g.sql["many/replay"], all.account, all.subject, all.method, all.key)
		if err != nil {
			return err
		}
		var at int64
		var earlier first
		_, err = pgx.ForEachRow(rows, []any{&at, &earlier.hash, &earlier.response}, func() error {
			found[at-1] = &first{earlier.hash, earlier.response}
			return nil
		})
		if err != nil {
			return err
		}
		var fresh []job
		for at, job := range jobs {
			if found[at] == nil {
				fresh = append(fresh, job)
			}
		}
		if len(fresh) == 0 {
			return nil
		}
		if len(fresh) != len(jobs) {
			all = newColumns(fresh)
		}
		tag, err := tx.Exec(ctx, g.sql["many/idempotency"], all.account, all.subject, all.method, all.key, all.hash, all.response)
		if err != nil {
			return err
		}
		if tag.RowsAffected() != int64(len(fresh)) {
			return errOvertaken
		}
		return g.insert(ctx, tx, all)
	})
	if err == nil {
		g.relay.wake()
	}
	return found, err
}

func (g *group) insert(ctx context.Context, tx pgx.Tx, all *columns) error {
	batch := &pgx.Batch{}
	batch.Queue(g.sql["many/shipments"], all.shipment, all.account, all.subject, all.carrier, all.number, all.originCode,
		all.originFacility, all.destinationCode, all.destinationPlace, all.departure, all.arrival, all.created, all.one,
		all.now, all.now)
	batch.Queue(g.sql["many/events"], all.shipment, all.one, all.event, all.created, all.actual, all.applied, all.now,
		all.now, all.originCode, all.originFacility, all.empty, all.subject)
	batch.Queue(g.sql["many/audit"], all.event, all.now, all.account, all.subject, all.roles, all.method, all.shipment,
		all.hash)
	batch.Queue(g.sql["many/outbox"], all.event, all.shard, all.shipment, all.one, all.topic, all.recordKey, all.payload,
		all.headers)
	return tx.SendBatch(ctx, batch).Close()
}

// columns are the rows of a transaction, column by column.
type columns struct {
	shipment, event                                 []uuid.UUID
	account, subject, roles, key, method            []string
	carrier, number, originCode, originFacility     []string
	destinationCode, destinationPlace               []string
	created, actual, applied, empty, topic, headers []string
	departure, arrival, now                         []time.Time
	hash, response, recordKey, payload              [][]byte
	one                                             []int64
	shard                                           []int16
}

func newColumns(jobs []job) *columns {
	all := &columns{}
	for _, job := range jobs {
		c := job.create
		all.shipment = append(all.shipment, c.shipment)
		all.event = append(all.event, c.event)
		all.account = append(all.account, c.account)
		all.subject = append(all.subject, c.subject)
		all.roles = append(all.roles, c.roles)
		all.key = append(all.key, c.key)
		all.method = append(all.method, method)
		all.carrier = append(all.carrier, c.carrier)
		all.number = append(all.number, c.number)
		all.originCode = append(all.originCode, c.originCode)
		all.originFacility = append(all.originFacility, c.originFacility)
		all.destinationCode = append(all.destinationCode, c.destinationCode)
		all.destinationPlace = append(all.destinationPlace, c.destinationPlace)
		all.created = append(all.created, "CREATED")
		all.actual = append(all.actual, "ACTUAL")
		all.applied = append(all.applied, "APPLIED")
		all.empty = append(all.empty, "")
		all.topic = append(all.topic, c.topic)
		all.headers = append(all.headers, c.headers)
		all.departure = append(all.departure, c.departure)
		all.arrival = append(all.arrival, c.arrival)
		all.now = append(all.now, c.now)
		all.hash = append(all.hash, c.hash)
		all.response = append(all.response, c.response)
		all.recordKey = append(all.recordKey, c.recordKey)
		all.payload = append(all.payload, c.payload)
		all.one = append(all.one, 1)
		all.shard = append(all.shard, c.shard())
	}
	return all
}
