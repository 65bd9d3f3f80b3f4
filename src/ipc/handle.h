// A Handle and its message, as they go over Node's channel.
#pragma once

#include "cohort/handle.h"
#include "ipc/message.h"

namespace cohort::ipc {

/// The NODE_HANDLE that carries `message` beside the handle's descriptor.
Value wrap(const Handle& handle, Value message);
/// Whether a Node process may be sent it: others abort there, or lose their head.
bool suits_node(const Handle& handle);
/// The handle that came with a message; none if there was none.
Handle take_handle(Incoming& incoming);

}  // namespace cohort::ipc
