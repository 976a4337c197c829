// Command peer does what the shipment and tracking services do for a durable create and for a timeline, with what a Go
// team would take: grpc-go, pgx and franz-go. It is measured next to them; see docs/benchmarks-workloads.md.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"os"

	"google.golang.org/grpc"

	shipmentv1 "logistics-platform.io/bench/peers/go/gen/logistics/shipment/v1"
	trackingv1 "logistics-platform.io/bench/peers/go/gen/logistics/tracking/v1"
)

// Config is the file that the benchmark writes; the same for all peers.
type Config struct {
	Listen    string   `json:"listen"`
	Batch     bool     `json:"batch"`
	SQL       string   `json:"sql"`
	Database  Database `json:"database"`
	Bootstrap string   `json:"bootstrap"`
	Topic     string   `json:"topic"`
	EventType string   `json:"eventType"`
	Schema    string   `json:"schema"`
	SchemaID  int      `json:"schemaId"`
	Issuer    string   `json:"issuer"`
	Audience  string   `json:"audience"`
	JWKS      string   `json:"jwks"`
}

// Database says how to reach both schemas, each with its own role.
type Database struct {
	Host        string `json:"host"`
	Port        int    `json:"port"`
	Name        string `json:"name"`
	CA          string `json:"ca"`
	Connections int    `json:"connections"`
	Shipment    Role   `json:"shipment"`
	Tracking    Role   `json:"tracking"`
}

// Role is a database user.
type Role struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: peer CONFIG.json")
		os.Exit(2)
	}
	if err := run(context.Background(), os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var config Config
	if err := json.Unmarshal(text, &config); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	sql, err := readStatements(config.SQL)
	if err != nil {
		return err
	}
	auth, err := newAuthenticator(config)
	if err != nil {
		return err
	}
	encoder, err := newEncoder(config)
	if err != nil {
		return err
	}
	shipments, err := connect(ctx, config.Database, "shipment", config.Database.Shipment)
	if err != nil {
		return err
	}
	timelines, err := connect(ctx, config.Database, "tracking", config.Database.Tracking)
	if err != nil {
		return err
	}
	relay, err := newRelay(config, shipments, sql)
	if err != nil {
		return err
	}
	go relay.run(ctx)
	var writer writer = &single{pool: shipments, sql: sql, relay: relay}
	if config.Batch {
		writer = newGroup(ctx, shipments, sql, relay)
	}
	listener, err := net.Listen("tcp", config.Listen)
	if err != nil {
		return err
	}
	server := grpc.NewServer(grpc.UnaryInterceptor(auth.intercept))
	shipmentv1.RegisterShipmentServiceServer(server, &shipmentService{writer: writer, encoder: encoder})
	trackingv1.RegisterTrackingServiceServer(server, &trackingService{pool: timelines, sql: sql})
	return server.Serve(listener)
}
