// Loaded before the conformance tool: it reads metadata at METADATA_ORIGIN, and all else where it is.

import { getGlobalDispatcher, setGlobalDispatcher } from "undici";

const elsewhere = (dispatch) => (options, handler) => {
  const origin = options.path.startsWith("/.well-known/")
    ? process.env.METADATA_ORIGIN
    : options.origin;
  return dispatch({ ...options, origin }, handler);
};

setGlobalDispatcher(getGlobalDispatcher().compose(elsewhere));
