/** No error of ours ever reaches the page: a failing job answers `undefined`. */
export const guard =
  <Args extends unknown[], Result>(job: (...args: Args) => Result): ((...args: Args) => Result | undefined) =>
  (...args) => {
    try {
      return job(...args);
    } catch {
      return undefined;
    }
  };
