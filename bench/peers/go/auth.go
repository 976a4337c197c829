package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

type principal struct {
	subject string
	account string
	roles   []string
	expires time.Time
}

type claims struct {
	jwt.RegisteredClaims
	Account string   `json:"account_id"`
	Roles   []string `json:"roles"`
}

// authenticator verifies tokens; one that was good is good until it expires.
type authenticator struct {
	parser *jwt.Parser
	keys   map[string]*ecdsa.PublicKey
	mutex  sync.RWMutex
	known  map[string]*principal
}

const mostKnown = 10_000

type principalKey struct{}

func newAuthenticator(config Config) (*authenticator, error) {
	text, err := os.ReadFile(config.JWKS)
	if err != nil {
		return nil, err
	}
	var set struct {
		Keys []struct{ Kid, X, Y string }
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, err
	}
	keys := map[string]*ecdsa.PublicKey{}
	for _, key := range set.Keys {
		x, err := base64.RawURLEncoding.DecodeString(key.X)
		if err != nil {
			return nil, err
		}
		y, err := base64.RawURLEncoding.DecodeString(key.Y)
		if err != nil {
			return nil, err
		}
		keys[key.Kid] = &ecdsa.PublicKey{Curve: elliptic.P256(), X: new(big.Int).SetBytes(x), Y: new(big.Int).SetBytes(y)}
	}
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{"ES256"}),
		jwt.WithIssuer(config.Issuer),
		jwt.WithAudience(config.Audience),
		jwt.WithExpirationRequired(),
	)
	return &authenticator{parser: parser, keys: keys, known: map[string]*principal{}}, nil
}

func (a *authenticator) verify(token string) (*principal, error) {
	a.mutex.RLock()
	known := a.known[token]
	a.mutex.RUnlock()
	if known != nil && time.Now().Before(known.expires) {
		return known, nil
	}
	var read claims
	_, err := a.parser.ParseWithClaims(token, &read, func(token *jwt.Token) (any, error) {
		id, _ := token.Header["kid"].(string)
		if key := a.keys[id]; key != nil {
			return key, nil
		}
		return nil, errors.New("unknown key")
	})
	if err != nil {
		return nil, err
	}
	if read.Subject == "" || read.Account == "" {
		return nil, errors.New("sub and account_id are needed")
	}
	caller := &principal{read.Subject, read.Account, read.Roles, read.ExpiresAt.Time}
	a.mutex.Lock()
	if len(a.known) >= mostKnown {
		clear(a.known)
	}
	a.known[token] = caller
	a.mutex.Unlock()
	return caller, nil
}

func (a *authenticator) intercept(
	ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler,
) (any, error) {
	var header string
	if headers, ok := metadata.FromIncomingContext(ctx); ok {
		if values := headers.Get("authorization"); len(values) > 0 {
			header = values[0]
		}
	}
	token, ok := strings.CutPrefix(header, "Bearer ")
	if !ok {
		return nil, status.Error(codes.Unauthenticated, "no token")
	}
	caller, err := a.verify(token)
	if err != nil {
		return nil, status.Error(codes.Unauthenticated, "the token is refused")
	}
	allowed := slices.Contains(caller.roles, "admin") || slices.Contains(caller.roles, "user")
	if !allowed {
		return nil, status.Error(codes.PermissionDenied, "this needs the role admin or user")
	}
	return handle(context.WithValue(ctx, principalKey{}, caller), request)
}

func caller(ctx context.Context) (*principal, error) {
	if caller, ok := ctx.Value(principalKey{}).(*principal); ok {
		return caller, nil
	}
	return nil, status.Error(codes.Internal, "no caller")
}
