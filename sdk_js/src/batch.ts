/** Items on their way, and how many of them go into one request. */

/** An event ready to be sent: its JSON, the JSON's bytes, its purpose (empty: anonymous), its id, and when it was queued. */
export type Item = [json: string, bytes: number, purpose: string, id: string, queued: number];

/** Browsers refuse beacons and keep-alive requests above 64 KB; the envelope needs some of it. */
const BATCH_BYTES = 6e4;

export const bytesOf = (items: Item[]): number => items.reduce((sum, item) => sum + item[1] + 1, 0);

/** Takes a batch off the front of a queue: one item at least, `room` items and `most` bytes (60 KB) at most. */
export const cut = (queue: Item[], room: number, most = BATCH_BYTES): Item[] => {
  const batch = queue.splice(0, 1);
  while (queue[0] && batch.length < room && bytesOf(batch) + queue[0][1] < most) batch.push(queue.shift() as Item);
  return batch;
};
