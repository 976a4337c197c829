//! Finds, builds and pins the tools of the development cluster in a cache outside the checkout.
