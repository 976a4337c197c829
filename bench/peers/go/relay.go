package main

import (
	"context"
	"encoding/json"
	"log"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/twmb/franz-go/pkg/kgo"
)

// relay sends what is in the outbox to the log, in its order, and deletes what the log has.
type relay struct {
	client *kgo.Client
	pool   *pgxpool.Pool
	sql    statements
	woken  chan struct{}
}

func newRelay(config Config, pool *pgxpool.Pool, sql statements) (*relay, error) {
	// acks=all and idempotent are franz-go's defaults; the rest is as in the Rust service.
	client, err := kgo.NewClient(
		kgo.SeedBrokers(config.Bootstrap),
		kgo.ProducerBatchCompression(kgo.GzipCompression()),
		kgo.ProducerLinger(2*time.Millisecond),
	)
	if err != nil {
		return nil, err
	}
	return &relay{client: client, pool: pool, sql: sql, woken: make(chan struct{}, 1)}, nil
}

func (r *relay) wake() {
	select {
	case r.woken <- struct{}{}:
	default:
	}
}

func (r *relay) run(ctx context.Context) {
	for {
		sent, err := r.round(ctx)
		if err != nil {
			log.Printf("relay: %v", err)
		}
		if sent > 0 && err == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-r.woken:
		case <-time.After(500 * time.Millisecond):
		}
	}
}

func (r *relay) round(ctx context.Context) (int, error) {
	rows, err := r.pool.Query(ctx, r.sql["unsent"])
	if err != nil {
		return 0, err
	}
	var positions []int64
	var records []*kgo.Record
	var position int64
	var topic string
	var key, payload, headers []byte
	_, err = pgx.ForEachRow(rows, []any{&position, &topic, &key, &payload, &headers}, func() error {
		var pairs [][]*string
		if err := json.Unmarshal(headers, &pairs); err != nil {
			return err
		}
		record := &kgo.Record{Topic: topic, Key: key, Value: payload}
		for _, pair := range pairs {
			record.Headers = append(record.Headers, kgo.RecordHeader{Key: *pair[0], Value: []byte(*pair[1])})
		}
		// Each row's bytes are its own: the next one must not overwrite them.
		key, payload, headers = nil, nil, nil
		positions, records = append(positions, position), append(records, record)
		return nil
	})
	if err != nil || len(records) == 0 {
		return 0, err
	}
	if err := r.client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return 0, err
	}
	_, err = r.pool.Exec(ctx, r.sql["sent"], positions)
	return len(records), err
}
