package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// statements by file name without its ending, for example "one/shipments".
type statements map[string]string

func readStatements(folder string) (statements, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.sql"))
	if err != nil {
		return nil, err
	}
	deeper, err := filepath.Glob(filepath.Join(folder, "*", "*.sql"))
	if err != nil {
		return nil, err
	}
	all := statements{}
	for _, file := range append(files, deeper...) {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		name, err := filepath.Rel(folder, file)
		if err != nil {
			return nil, err
		}
		all[strings.TrimSuffix(name, ".sql")] = string(text)
	}
	return all, nil
}

func connect(ctx context.Context, database Database, schema string, role Role) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(fmt.Sprintf("sslmode=verify-full sslrootcert=%s host=%s port=%d dbname=%s",
		database.CA, database.Host, database.Port, database.Name))
	if err != nil {
		return nil, err
	}
	config.ConnConfig.User = role.Username
	config.ConnConfig.Password = role.Password
	config.ConnConfig.RuntimeParams["search_path"] = schema
	config.MaxConns = int32(database.Connections)
	return pgxpool.NewWithConfig(ctx, config)
}

// created is all that a create writes.
type created struct {
	shipment, event                   uuid.UUID
	account, subject, roles, key      string
	carrier, number                   string
	originCode, originFacility        string
	destinationCode, destinationPlace string
	departure, arrival, now           time.Time
	hash, response                    []byte
	topic                             string
	recordKey, payload                []byte
	headers                           string
}

const method = "CreateShipment"

func (c *created) shard() int16 { return int16(c.shipment[15] % 64) }

type first struct{ hash, response []byte }

// writer writes a create durably, or finds what its key was answered with.
type writer interface {
	write(ctx context.Context, create *created) (*first, error)
}

// single writes each create in a transaction of its own.
type single struct {
	pool  *pgxpool.Pool
	sql   statements
	relay *relay
}

func (s *single) write(ctx context.Context, c *created) (*first, error) {
	var found *first
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		var earlier first
		err := tx.QueryRow(ctx, s.sql["one/replay"], c.account, c.subject, method, c.key).Scan(&earlier.hash, &earlier.response)
		if err == nil {
			found = &earlier
			return nil
		}
		if err != pgx.ErrNoRows {
			return err
		}
		tag, err := tx.Exec(ctx, s.sql["one/idempotency"], c.account, c.subject, method, c.key, c.hash, c.response)
		if err != nil {
			return err
		}
		if tag.RowsAffected() != 1 {
			return errOvertaken
		}
		// What is left needs no answer in between: one round trip.
		batch := &pgx.Batch{}
		batch.Queue(s.sql["one/shipments"], c.shipment, c.account, c.subject, c.carrier, c.number, c.originCode,
			c.originFacility, c.destinationCode, c.destinationPlace, c.departure, c.arrival, "CREATED", int64(1), c.now, c.now)
		batch.Queue(s.sql["one/events"], c.shipment, int64(1), c.event, "CREATED", "ACTUAL", "APPLIED", c.now, c.now,
			c.originCode, c.originFacility, "", c.subject)
		batch.Queue(s.sql["one/audit"], c.event, c.now, c.account, c.subject, c.roles, method, c.shipment, c.hash)
		batch.Queue(s.sql["one/outbox"], c.event, c.shard(), c.shipment, int64(1), c.topic, c.recordKey, c.payload, c.headers)
		return tx.SendBatch(ctx, batch).Close()
	})
	if err == nil && found == nil {
		s.relay.wake()
	}
	return found, err
}
