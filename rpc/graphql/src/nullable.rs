//! Fields that may be null.

use async_graphql::{Context, Error};

/// The value, or null with its error beside it: the answer's other fields do not suffer (GraphQL, 6.4.4).
pub(crate) fn or_null<T>(context: &Context<'_>, result: Result<Option<T>, Error>) -> Option<T> {
    result.unwrap_or_else(|error| {
        context.add_error(context.set_error_path(error.into_server_error(context.item.pos)));
        None
    })
}
