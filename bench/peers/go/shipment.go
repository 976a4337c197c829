package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"log"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	shipmentv1 "logistics-platform.io/bench/peers/go/gen/logistics/shipment/v1"
	typev1 "logistics-platform.io/bench/peers/go/gen/logistics/type/v1"
)

type shipmentService struct {
	shipmentv1.UnimplementedShipmentServiceServer
	writer  writer
	encoder *encoder
}

var (
	keyForm     = regexp.MustCompile(`^[ -~]{1,128}$`)
	carrierForm = regexp.MustCompile(`^[A-Z0-9]{2,10}$`)
	placeForm   = regexp.MustCompile(`^[A-Z0-9]{3,5}$`)
)

func check(request *shipmentv1.CreateShipmentRequest) error {
	wrong := ""
	switch {
	case !keyForm.MatchString(request.IdempotencyKey):
		wrong = "idempotency_key"
	case !carrierForm.MatchString(request.Carrier):
		wrong = "carrier"
	case request.TrackingNumber == "" || len(request.TrackingNumber) > 64:
		wrong = "tracking_number"
	case !placeForm.MatchString(request.GetOrigin().GetCode()) || len(request.GetOrigin().GetFacility()) > 100:
		wrong = "origin"
	case !placeForm.MatchString(request.GetDestination().GetCode()) || len(request.GetDestination().GetFacility()) > 100:
		wrong = "destination"
	case !request.GetPlannedDeparture().IsValid():
		wrong = "planned_departure"
	case !request.GetPromisedArrival().IsValid() ||
		!request.PromisedArrival.AsTime().After(request.PlannedDeparture.AsTime()):
		wrong = "promised_arrival"
	}
	if wrong != "" {
		return status.Errorf(codes.InvalidArgument, "%s is wrong", wrong)
	}
	return nil
}

func (s *shipmentService) CreateShipment(
	ctx context.Context, request *shipmentv1.CreateShipmentRequest,
) (*shipmentv1.CreateShipmentResponse, error) {
	caller, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	if err := check(request); err != nil {
		return nil, err
	}
	create, response, err := s.prepare(caller, request)
	if err != nil {
		return nil, internal("prepare", err)
	}
	found, err := s.writer.write(ctx, create)
	if err != nil {
		return nil, internal("write", err)
	}
	if found == nil {
		return response, nil
	}
	if !bytes.Equal(found.hash, create.hash) {
		return nil, status.Error(codes.InvalidArgument, "idempotency_key was used for another request")
	}
	earlier := &shipmentv1.CreateShipmentResponse{}
	if err := proto.Unmarshal(found.response, earlier); err != nil {
		return nil, internal("read the answer", err)
	}
	return earlier, nil
}

func (s *shipmentService) prepare(
	caller *principal, request *shipmentv1.CreateShipmentRequest,
) (*created, *shipmentv1.CreateShipmentResponse, error) {
	shipment, err := uuid.NewV7()
	if err != nil {
		return nil, nil, err
	}
	event, err := uuid.NewV7()
	if err != nil {
		return nil, nil, err
	}
	body, err := proto.Marshal(request)
	if err != nil {
		return nil, nil, err
	}
	hash := sha256.Sum256(body)
	now := time.Now().UTC().Truncate(time.Microsecond)
	response := &shipmentv1.CreateShipmentResponse{Shipment: &shipmentv1.Shipment{
		ShipmentId: shipment.String(), AccountId: caller.account, Carrier: request.Carrier,
		TrackingNumber: request.TrackingNumber, Origin: request.Origin, Destination: request.Destination,
		PlannedDeparture: request.PlannedDeparture, PromisedArrival: request.PromisedArrival,
		Status: typev1.Status_STATUS_CREATED, Seq: 1, CreatedAt: timestamppb.New(now), UpdatedAt: timestamppb.New(now),
	}}
	answer, err := proto.Marshal(response)
	if err != nil {
		return nil, nil, err
	}
	create := &created{
		shipment: shipment, event: event, account: caller.account, subject: caller.subject,
		roles: strings.Join(caller.roles, ","), key: request.IdempotencyKey, carrier: request.Carrier,
		number: request.TrackingNumber, originCode: request.Origin.Code, originFacility: request.Origin.Facility,
		destinationCode: request.Destination.Code, destinationPlace: request.Destination.Facility,
		departure: request.PlannedDeparture.AsTime(), arrival: request.PromisedArrival.AsTime(), now: now,
		hash: hash[:], response: answer,
	}
	return create, response, s.encoder.encode(create)
}

func internal(what string, err error) error {
	log.Printf("%s: %v", what, err)
	return status.Error(codes.Internal, "internal error")
}
