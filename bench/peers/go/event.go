package main

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"time"

	"github.com/hamba/avro/v2"
)

// encoder writes the event of a create as the registry's readers expect it.
type encoder struct {
	schema avro.Schema
	prefix []byte
	topic  string
	kind   string
}

type place struct {
	Code     string `avro:"code"`
	Facility string `avro:"facility"`
}

type shipmentCreated struct {
	ShipmentID       string    `avro:"shipment_id"`
	Seq              int64     `avro:"seq"`
	AccountID        string    `avro:"account_id"`
	Actor            string    `avro:"actor"`
	Carrier          string    `avro:"carrier"`
	TrackingNumber   string    `avro:"tracking_number"`
	Origin           place     `avro:"origin"`
	Destination      place     `avro:"destination"`
	PlannedDeparture time.Time `avro:"planned_departure"`
	PromisedArrival  time.Time `avro:"promised_arrival"`
	RecordedAt       time.Time `avro:"recorded_at"`
}

func newEncoder(config Config) (*encoder, error) {
	text, err := os.ReadFile(config.Schema)
	if err != nil {
		return nil, err
	}
	schema, err := avro.Parse(string(text))
	if err != nil {
		return nil, err
	}
	prefix := binary.BigEndian.AppendUint32([]byte{0}, uint32(config.SchemaID))
	return &encoder{schema: schema, prefix: prefix, topic: config.Topic, kind: config.EventType}, nil
}

// encode fills in what the outbox row of the create holds.
func (e *encoder) encode(c *created) error {
	id := c.shipment.String()
	datum, err := avro.Marshal(e.schema, shipmentCreated{
		ShipmentID: id, Seq: 1, AccountID: c.account, Actor: c.subject, Carrier: c.carrier, TrackingNumber: c.number,
		Origin:           place{c.originCode, c.originFacility},
		Destination:      place{c.destinationCode, c.destinationPlace},
		PlannedDeparture: c.departure, PromisedArrival: c.arrival, RecordedAt: c.now,
	})
	if err != nil {
		return err
	}
	headers, err := json.Marshal([][2]string{
		{"ce_specversion", "1.0"},
		{"ce_id", c.event.String()},
		{"ce_source", "/bench/peers/go"},
		{"ce_type", e.kind},
		{"ce_time", c.now.UTC().Format("2006-01-02T15:04:05.000000Z")},
		{"ce_partitionkey", id},
		{"ce_sequence", "1"},
		{"content-type", "application/avro"},
	})
	if err != nil {
		return err
	}
	c.topic, c.recordKey, c.headers = e.topic, []byte(id), string(headers)
	c.payload = append(append(make([]byte, 0, len(e.prefix)+len(datum)), e.prefix...), datum...)
	return nil
}
