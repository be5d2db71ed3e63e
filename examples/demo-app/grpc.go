package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// echoName is the full name of the service.
const echoName = "wedsync.demo.Echo"

// echoService describes it. Its messages are google.protobuf.StringValue,
// so that nothing has to be generated: Say answers with what it is told, and Chat
// with each message of a stream.
var echoService = grpc.ServiceDesc{
	ServiceName: echoName,
	HandlerType: (*any)(nil),
	Methods:     []grpc.MethodDesc{{MethodName: "Say", Handler: say}},
	Streams:     []grpc.StreamDesc{{StreamName: "Chat", Handler: chat, ServerStreams: true, ClientStreams: true}},
}

// newGRPC is a gRPC server that listens nowhere: it answers what ServeHTTP is given.
func newGRPC() *grpc.Server {
	s := grpc.NewServer()
	s.RegisterService(&echoService, struct{}{})
	grpc_health_v1.RegisterHealthServer(s, health.NewServer())
	return s
}

func say(_ any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) { //nolint:revive // the order is gRPC's
	in := new(wrapperspb.StringValue)
	if err := decode(in); err != nil {
		return nil, err
	}
	handler := func(_ context.Context, message any) (any, error) { return message, nil }
	if intercept == nil {
		return handler(ctx, in)
	}
	return intercept(ctx, in, &grpc.UnaryServerInfo{FullMethod: "/" + echoName + "/Say"}, handler)
}

func chat(_ any, stream grpc.ServerStream) error {
	for {
		message := new(wrapperspb.StringValue)
		switch err := stream.RecvMsg(message); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if err := stream.SendMsg(message); err != nil {
			return err
		}
	}
}

// orGRPC lets the gRPC server answer what is for it, and next all else.
func orGRPC(server *grpc.Server, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor == 2 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
			server.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}
