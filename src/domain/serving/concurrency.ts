/** Requests under way in this process, by agreement. */
export class Running {
  private readonly counts = new Map<string, number>();

  /** Bound, so that it can be handed on. */
  readonly count = (agreementId: string): number => this.counts.get(agreementId) ?? 0;

  /** One more; the function that is returned ends it, and further calls of it do nothing. */
  begin(agreementId: string): () => void {
    this.counts.set(agreementId, this.count(agreementId) + 1);
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      const left = this.count(agreementId) - 1;
      if (left > 0) this.counts.set(agreementId, left);
      else this.counts.delete(agreementId);
    };
  }
}
