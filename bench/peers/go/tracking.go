package main

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	trackingv1 "logistics-platform.io/bench/peers/go/gen/logistics/tracking/v1"
	typev1 "logistics-platform.io/bench/peers/go/gen/logistics/type/v1"
)

type trackingService struct {
	trackingv1.UnimplementedTrackingServiceServer
	pool *pgxpool.Pool
	sql  statements
}

// GetTimeline reads both tables in one round trip.
func (s *trackingService) GetTimeline(
	ctx context.Context, request *trackingv1.GetTimelineRequest,
) (*trackingv1.GetTimelineResponse, error) {
	caller, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	id, err := uuid.Parse(request.ShipmentId)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, "shipment_id is no UUID")
	}
	answer := &trackingv1.GetTimelineResponse{}
	batch := &pgx.Batch{}
	batch.Queue(s.sql["shipment"], id, caller.account).QueryRow(func(row pgx.Row) error { return readShipment(row, answer) })
	batch.Queue(s.sql["timeline"], id).Query(func(rows pgx.Rows) error { return readEvents(rows, request.ShipmentId, answer) })
	switch err := s.pool.SendBatch(ctx, batch).Close(); err {
	case nil:
		return answer, nil
	case pgx.ErrNoRows:
		return nil, status.Error(codes.NotFound, "no such shipment")
	default:
		return nil, internal("read", err)
	}
}

func readShipment(row pgx.Row, answer *trackingv1.GetTimelineResponse) error {
	var id uuid.UUID
	var departure, arrival time.Time
	var name string
	answer.Origin, answer.Destination = &typev1.Location{}, &typev1.Location{}
	err := row.Scan(&id, &answer.Carrier, &answer.TrackingNumber, &answer.Origin.Code, &answer.Origin.Facility,
		&answer.Destination.Code, &answer.Destination.Facility, &departure, &arrival, &name)
	if err != nil {
		return err
	}
	answer.ShipmentId = id.String()
	answer.PlannedDeparture, answer.PromisedArrival = timestamppb.New(departure), timestamppb.New(arrival)
	answer.Status = typev1.Status(typev1.Status_value["STATUS_"+name])
	return nil
}

func readEvents(rows pgx.Rows, shipment string, answer *trackingv1.GetTimelineResponse) error {
	var seq int64
	var event uuid.UUID
	var reported, classifier, disposition, reason, actor string
	var occurred, recorded time.Time
	var code, facility *string
	columns := []any{&seq, &event, &reported, &classifier, &disposition, &occurred, &recorded, &code, &facility, &reason, &actor}
	_, err := pgx.ForEachRow(rows, columns, func() error {
		one := &typev1.ShipmentEvent{
			EventId: event.String(), ShipmentId: shipment, Seq: seq,
			Status:      typev1.Status(typev1.Status_value["STATUS_"+reported]),
			Classifier:  typev1.Classifier(typev1.Classifier_value["CLASSIFIER_"+classifier]),
			Disposition: typev1.Disposition(typev1.Disposition_value["DISPOSITION_"+disposition]),
			OccurredAt:  timestamppb.New(occurred), RecordedAt: timestamppb.New(recorded), Reason: reason, Actor: actor,
		}
		if code != nil && facility != nil {
			one.Location = &typev1.Location{Code: *code, Facility: *facility}
		}
		answer.Events = append(answer.Events, one)
		return nil
	})
	return err
}
