// Known bugs of backends of this kind, each behind a flag, so that one can see what a harness makes of them.
// `LIMPET_BUG=NAME node server.js` or `node server.js --bug NAME`. Without a flag none of them is there.

export const BUGS = {
  'unlock-plain-del': 'a lock is released by a plain DEL, even when it has passed to another holder by then',
  'delete-not-owner': 'a replica that does not own a session deletes its keys and leaves the gadget running at the owner',
  'record-only-watched': 'events go into the history only while somebody watches',
  'viewers-compete': 'the viewers of one stream compete: each event goes to only one of them',
  'silent-drop': 'the buffer in front of the history is small, and drops what does not fit without a word',
  'late-close': 'the close of one WebSocket removes ws:{id} although another one is open',
  'dead-keys-stay': 'heartbeat, owned set and ws:{id} have no TTL, so those of a killed replica stay',
  'late-heartbeat': 'the first heartbeat comes only after a whole interval',
  'create-502': 'one create in ten is answered 502 after the session was made',
  'no-lock': 'sessions are changed without the lock, so two deletes of one session can both succeed',
  'list-local': "the list's ids come from local memory, which is up to a second behind on other replicas' sessions",
};

const chosen = choose(process.env.LIMPET_BUG, process.argv.slice(2));

/** Whether this process has the bug. */
export function bug(name) {
  if (!(name in BUGS)) throw new Error(`no such bug: ${name}`);
  return chosen === name;
}

function choose(fromEnvironment, args) {
  const at = args.indexOf('--bug');
  const name = at >= 0 ? args[at + 1] : fromEnvironment;
  if (name && !(name in BUGS)) {
    const list = Object.entries(BUGS).map(([known, says]) => `  ${known.padEnd(20)} ${says}`);
    console.error(`no bug is called ${name}; known are:\n${list.join('\n')}`);
    process.exit(2);
  }
  return name || null;
}
